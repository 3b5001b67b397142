"""State variables over time, for environments that don't replay or can't be drawn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Array

MOST_ROWS = 6
CHANNELS = (1, 3)  # of a picture, first or last: grey, or red, green and blue
INK, PAST, PAPER, LINE = (90, 90, 96), (30, 90, 200), (250, 250, 248), (205, 205, 210)


def can_plot(observations: Array) -> bool:
    """Test whether there is a way to show observations, shape (T + 1, *obs): vectors, numbers, or pictures."""
    return observations.ndim <= 2 or _are_pictures(observations)


def draw_states(query: Query, *, every: int, width: int) -> dict[str, list[Image.Image]]:
    """Plot every option's observations, with the same scales, and a point that moves along them.

    The variables that change most are shown, at most six, named by their index in the observation, with their lowest
    and highest value over all options. Observations that are pictures are shown as they are.

    Args:
        query: What to draw.
        every: Draw every `every`-th observation, and always the last.
        width: Pixels.

    Returns:
        By option, ceil(lived / every) + 1 pictures.

    Raises:
        BadInput: If observations are neither vectors, numbers nor pictures.
    """
    if not can_plot(query.left.observations):
        raise BadInput(
            f"observations have shape {query.left.observations.shape[1:]} and type {query.left.observations.dtype}; "
            "draw='states' shows vectors, and pictures of uint8"
        )
    if query.left.observations.ndim > 2:
        options = zip(query.names, query.options, strict=True)
        return {name: _pictures(segment.observations, every, width) for name, segment in options}
    rows, shares = what_changes(query, most=MOST_ROWS)
    whole = np.concatenate([_as_vectors(segment.observations)[:, rows] for segment in query.options])
    axes = _Axes(rows, whole.min(axis=0), whole.max(axis=0), query.options[0].length)
    return {name: _plots(curves, axes, every, width) for name, curves in zip(query.names, shares, strict=True)}


def what_changes(query: Query, *, most: int) -> tuple[Array, list[Array]]:
    """Find the variables of the options' observations (vectors, or numbers) that change most for their size.

    Returns:
        Their indices in the observation, ascending, at most `most`; and each option's values, scaled to [0, 1] by the
        variable's range over all options, shape (lived + 1, variables).
    """
    each = [_as_vectors(segment.observations) for segment in query.options]
    whole = np.concatenate(each)
    rows = np.sort(np.argsort(-whole.std(axis=0) / (np.abs(whole).max(axis=0) + 1e-9), kind="stable")[:most])
    lowest, highest = whole[:, rows].min(axis=0), whole[:, rows].max(axis=0)
    spread = np.where(highest > lowest, highest - lowest, 1.0)
    return rows, [(one[:, rows] - lowest) / spread for one in each]


def eights(length: float) -> int:
    """Round to a multiple of 8 pixels, JPEG's block size, so that neighbouring pictures don't blend; at least 8."""
    return 8 * max(1, round(length / 8))


class _Axes(NamedTuple):
    """The axes that all options share: variables, the range of each, and time."""

    names: Array
    lowest: Array
    highest: Array
    length: int


def _plots(shares: Array, axes: _Axes, every: int, width: int) -> list[Image.Image]:
    """Draw the pictures of curves with values in [0, 1], shape (lived + 1, rows)."""
    height, margin, foot = eights(width * 3 / 4), width // 6, max(14, width // 20)
    band = (height - foot) / len(axes.names)
    x = margin + np.arange(len(shares)) * (width - margin - 12) / axes.length
    y = (np.arange(len(axes.names)) + 0.85 - 0.7 * shares) * band
    paper = Image.new("RGB", (width, height), PAPER)
    pen, small = ImageDraw.Draw(paper), ImageFont.load_default(max(9, width // 40))
    large = ImageFont.load_default(max(10, width // 32))
    for row, (name, lowest, highest) in enumerate(zip(axes.names, axes.lowest, axes.highest, strict=True)):
        pen.line((margin, (row + 1) * band - 1, width, (row + 1) * band - 1), fill=LINE)
        pen.text((8, (row + 0.5) * band), f"s{name}", font=large, anchor="lm", fill=INK)
        pen.text((margin - 6, (row + 0.15) * band), f"{highest:.3g}", font=small, anchor="rm", fill=INK)
        pen.text((margin - 6, (row + 0.85) * band), f"{lowest:.3g}", font=small, anchor="rm", fill=INK)
        pen.line([*zip(x, y[:, row], strict=True)], fill=LINE, width=2)
    middle = height - foot / 2
    pen.text((margin, middle), "step 0", font=small, anchor="lm", fill=INK)
    pen.text((width - 12, middle), str(axes.length), font=small, anchor="rm", fill=INK)
    return [_at(paper, x[: step + 1], y[: step + 1]) for step in _steps(len(shares), every)]


def _pictures(observations: Array, every: int, width: int) -> list[Image.Image]:
    """Scale observed pictures to a width at which they can be seen."""
    if observations.ndim == 4 and observations.shape[-1] not in CHANNELS:
        observations = np.moveaxis(observations, 1, -1)
    if observations.ndim == 4 and observations.shape[-1] == 1:
        observations = observations[..., 0]
    size = (width, eights(observations.shape[1] * width / observations.shape[2]))
    drawn = [observations[step] for step in _steps(len(observations), every)]
    return [Image.fromarray(one).convert("RGB").resize(size, Image.Resampling.NEAREST) for one in drawn]


def _are_pictures(observations: Array) -> bool:
    shape = observations.shape[1:]
    if observations.dtype != np.uint8 or min(shape) < 1:
        return False
    return len(shape) == 2 or (len(shape) == 3 and bool({shape[0], shape[2]} & set(CHANNELS)))


def _as_vectors(observations: Array) -> Array:
    return np.asarray(observations, float).reshape(len(observations), -1)


def _steps(n: int, every: int) -> list[int]:
    return [*range(0, n - 1, every), n - 1]


def _at(paper: Image.Image, x: Array, y: Array) -> Image.Image:
    picture = paper.copy()
    pen = ImageDraw.Draw(picture)
    for curve in y.T:
        pen.line([*zip(x, curve, strict=True)], fill=PAST, width=2)
        pen.ellipse((x[-1] - 4, curve[-1] - 4, x[-1] + 4, curve[-1] + 4), fill=PAST)
    return picture
