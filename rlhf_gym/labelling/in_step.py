"""The options of a query as one animated picture, in which they can't get out of step."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rlhf_gym.labelling.clips import Clip
from rlhf_gym.labelling.states import INK, LINE, PAST

GAP = 16
"""Pixels between options."""
MOST_ACROSS = 3
"""Options beside each other in one row; more of them make two rows."""


def side_by_side(clip: Clip, *, passed: Sequence[float] = (), parts: int = 0) -> bytes:
    """Join the options of a clip in one endlessly looping animated WebP; more than two are labelled with their names.

    Args:
        clip: Drawn from a query.
        passed: Share of the only option that has passed at each tick (:func:`rlhf_gym.labelling.pictures.passed`).
        parts: Number of its equal parts, numbered on a line below the picture; 0 leaves the line out.
    """
    names = list(clip.order)
    films = [clip.frames(name) for name in names]
    pictures, durations = [], []
    for _, same in groupby(range(len(films[0])), lambda tick: [clip.order[name][tick] for name in names]):
        first, *rest = same
        frames = [Image.fromarray(film[first]) for film in films]
        if len(names) > 2:
            frames = [_named(frame, name) for frame, name in zip(frames, names, strict=True)]
        if parts:
            frames = [_above_line(frame, passed[first], parts) for frame in frames]
        pictures.append(_joined(frames))
        durations.append((1 + len(rest)) * clip.milliseconds)
    file = io.BytesIO()
    # The quickest method: a person is waiting.
    pictures[0].save(
        file, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=0, method=0, quality=75
    )
    return file.getvalue()


def _joined(frames: Sequence[Image.Image]) -> Image.Image:
    """Put frames of one size in one row, or in two."""
    n, (width, height) = len(frames), frames[0].size
    across = n if n <= MOST_ACROSS else -(-n // 2)
    size = (across * (width + GAP) - GAP, -(-n // across) * (height + GAP) - GAP)
    whole = Image.new("RGB", size, "white")
    for place, frame in enumerate(frames):
        whole.paste(frame, (place % across * (width + GAP), place // across * (height + GAP)))
    return whole


def _named(frame: Image.Image, name: str) -> Image.Image:
    """Write an option's name in the upper left corner."""
    side = max(14, frame.width // 10)
    pen, font = ImageDraw.Draw(frame), ImageFont.load_default(round(side * 0.8))
    pen.rectangle((0, 0, side, side), fill=INK)
    pen.text((side / 2, side / 2), name, font=font, anchor="mm", fill="white")
    return frame


def _above_line(frame: Image.Image, passed: float, parts: int) -> Image.Image:
    """Add a line below a frame, with each part's number at its end and a point at the current time."""
    (width, height), text = frame.size, max(11, frame.width // 24)
    whole = Image.new("RGB", (width, height + 3 * text), "white")
    whole.paste(frame)
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(text)
    ends = np.linspace(text, width - 1 - text, parts + 1)
    y, x = height + text, float(np.interp(passed, [0, 1], ends[[0, -1]]))
    pen.line((ends[0], y, ends[-1], y), fill=LINE, width=3)
    pen.line((ends[0], y, x, y), fill=PAST, width=3)
    for part, end in enumerate(ends[1:], start=1):
        colour = PAST if passed >= part / parts - 1e-9 else INK
        pen.line((end, y - text / 3, end, y + text / 3), fill=colour, width=2)
        pen.text((end, y + text), str(part), font=font, anchor="mm", fill=colour)
    pen.ellipse((x - text / 3, y - text / 3, x + text / 3, y + text / 3), fill=PAST)
    return whole
