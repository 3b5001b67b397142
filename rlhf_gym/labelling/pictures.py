"""The frames of a query's options, so that they run in step: same size, same speed, same number of ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from rlhf_gym.envs import frames_per_second, replay
from rlhf_gym.labelling.states import draw_states, eights
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Segment

# Half a second of CartPole is over before a person has found its pole, so shorter clips are shown in slow motion.
LEAST_SECONDS = 1.5
FRAMES_PER_SECOND = 25
MOST_FRAMES = 120  # of a sheet; a phone struggles to decode more at once
HOLD_SECONDS = 0.6  # for which the last frame is held before the clip repeats
RED, GREY = (200, 30, 45), (110, 110, 110)


class Pace(NamedTuple):
    """The pace of a clip, the same for all options of a query."""

    every: int
    """Every `every`-th observation is a frame."""
    milliseconds: int
    """How long one frame is shown."""
    slowdown: float
    """How many times slower than the environment itself."""
    hold: int
    """Number of extra frames for which the last one is held."""


def pace(length: int, fps: float) -> Pace:
    """Choose the pace of segments of `length` steps in an environment of `fps` steps a second."""
    slowdown = max(1.0, LEAST_SECONDS * fps / length)
    every = max(1, round(fps / slowdown / FRAMES_PER_SECOND), math.ceil(length / MOST_FRAMES))
    milliseconds = max(1, round(1000 * every * slowdown / fps))
    return Pace(every, milliseconds, slowdown, round(1000 * HOLD_SECONDS / milliseconds))


def order(segment: Segment, pace: Pace) -> list[int]:
    """List the index of an option's picture at each tick, held ticks included.

    Segments of the same nominal length have the same number of ticks. After the last lived step its picture is held,
    or the marked picture that follows it if :func:`ended` names an ending.
    """
    last, ticks = math.ceil(segment.lived / pace.every), math.ceil(segment.length / pace.every)
    after = last + (ended(segment) is not None)
    return [*range(last + 1), *[after] * (ticks - last + pace.hold)]


def passed(order: Sequence[int], segment: Segment) -> list[float]:
    """List the share of an option's lived steps that have passed at each tick, given the pictures of :func:`order`."""
    last = max(1, last_lived(order, segment))
    return [min(1.0, picture / last) for picture in order]


def last_lived(order: Sequence[int], segment: Segment) -> int:
    """Find the index of the last lived step's picture, which is also its tick; a picture after it marks the ending."""
    return max(order) - (ended(segment) is not None)


def ended(segment: Segment) -> str | None:
    """Name the ending of a segment; None if it lasts its nominal length without terminating."""
    if segment.terminated:
        return "ended"
    return "time limit" if segment.lived < segment.length else None


def draw_query(query: Query, *, draw: str, width: int) -> tuple[Pace, dict[str, list[Image.Image]]]:
    """Draw each option's distinct pictures in order of time, with a marked one at the end if :func:`ended` names one.

    Args:
        query: What to draw.
        draw: "replay" simulates and draws the segments again; "states" plots their observations.
        width: Pixels, rounded to a multiple of 8; the height follows from the environment's picture.

    Raises:
        BadInput: If the query doesn't replay, or can't be drawn.
    """
    options, width = dict(zip(query.names, query.options, strict=True)), eights(width)
    first = query.options[0]
    if draw == "states":
        paces = pace(first.length, first.length / 2.5)  # the environment's own speed is unknown
        drawn = draw_states(query, every=paces.every, width=width)
    else:
        origin = first.origin
        fps = FRAMES_PER_SECOND if origin is None else frames_per_second(origin.env_id, origin.env_kwargs)
        paces = pace(first.length, fps)
        drawn = {name: _replayed(segment, paces.every, width) for name, segment in options.items()}
    size = drawn[query.names[0]][0].size
    pictures = {name: [image.resize(size) if image.size != size else image for image in drawn[name]] for name in drawn}
    for name, segment in options.items():
        if word := ended(segment):
            mark = marked_below if draw == "states" else marked
            pictures[name].append(mark(pictures[name][-1], word, RED if segment.terminated else GREY))
    return paces, pictures


def marked(picture: Image.Image, word: str, colour: tuple[int, int, int]) -> Image.Image:
    """Dim, frame and label the picture of an ending."""
    dim = Image.blend(picture, Image.new("RGB", picture.size, (32, 32, 36)), 0.55)
    pen, (width, height) = ImageDraw.Draw(dim), dim.size
    pen.rectangle((0, 0, width - 1, height - 1), outline=colour, width=max(3, width // 50))
    font = ImageFont.load_default(max(14, width // 12))
    place, pad = (width / 2, height / 6), width // 40  # above what has fallen
    left, top, right, bottom = pen.textbbox(place, word, font=font, anchor="mm")
    pen.rounded_rectangle((left - 2 * pad, top - pad, right + 2 * pad, bottom + pad), radius=pad, fill=colour)
    pen.text(place, word, font=font, anchor="mm", fill="white")
    return dim


def marked_below(picture: Image.Image, word: str, colour: tuple[int, int, int]) -> Image.Image:
    """Frame and label the plot of an ending without dimming it; the word stands where the axis has room."""
    plot, (width, height) = picture.copy(), picture.size
    pen, pad = ImageDraw.Draw(plot), max(2, width // 80)
    pen.rectangle((0, 0, width - 1, height - 1), outline=colour, width=pad)
    font = ImageFont.load_default(max(10, width // 28))
    place = (width / 2, height - 2 * pad)
    left, top, right, bottom = pen.textbbox(place, word, font=font, anchor="mb")
    pen.rounded_rectangle((left - 3 * pad, top - pad, right + 3 * pad, height - 1), radius=pad, fill=colour)
    pen.text(place, word, font=font, anchor="mb", fill="white")
    return plot


def sheet(pictures: Sequence[Image.Image]) -> tuple[Image.Image, int]:
    """Join pictures row by row into a nearly square sheet, which every browser can hold; return it and its columns."""
    (width, height), n = pictures[0].size, len(pictures)
    columns = min(n, max(1, round(math.sqrt(n * height / width))))
    whole = Image.new("RGB", (columns * width, math.ceil(n / columns) * height))
    for i, picture in enumerate(pictures):
        whole.paste(picture, (i % columns * width, i // columns * height))
    return whole, columns


def _replayed(segment: Segment, every: int, width: int) -> list[Image.Image]:
    frames = replay(segment, every=every)
    size = (width, eights(frames.shape[1] * width / frames.shape[2]))
    return [Image.fromarray(frame).resize(size, Image.Resampling.HAMMING, reducing_gap=2.0) for frame in frames]
