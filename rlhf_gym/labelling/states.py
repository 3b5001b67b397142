"""State variables over time, for environments that don't replay or can't be drawn."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Array

MOST_ROWS = 6
INK, PAST, PAPER, LINE = (90, 90, 96), (30, 90, 200), (250, 250, 248), (205, 205, 210)


def draw_states(query: Query, *, every: int, width: int) -> dict[str, list[Image.Image]]:
    """Plot every option's observations, with the same scales, and a point that moves along them.

    Shown are the variables that change most, at most six, named by their place in the observation.

    Args:
        query: What to draw.
        every: Every `every`-th observation is a picture, and the last.
        width: Pixels.

    Returns:
        By option, ceil(lived / every) + 1 pictures.

    Raises:
        BadInput: If observations aren't vectors.
    """
    if query.left.observations.ndim != 2:
        raise BadInput(f"observations have shape {query.left.observations.shape[1:]}; draw='states' plots vectors only")
    rows, shares = what_changes(query, most=MOST_ROWS)
    return {
        name: _plots(curves, rows, query.options[0].length, every, width)
        for name, curves in zip(query.names, shares, strict=True)
    }


def what_changes(query: Query, *, most: int) -> tuple[Array, list[Array]]:
    """Find the variables of the options' observations (vectors) that change most for their size.

    Returns:
        Their places in the observation, at most `most`; and of each option how they go, as shares of the range that
        each covers in all options together, shape (lived + 1, variables).
    """
    each = [np.asarray(segment.observations, float) for segment in query.options]
    whole = np.concatenate(each)
    rows = np.sort(np.argsort(-whole.std(axis=0) / (np.abs(whole).max(axis=0) + 1e-9), kind="stable")[:most])
    lowest, highest = whole[:, rows].min(axis=0), whole[:, rows].max(axis=0)
    spread = np.where(highest > lowest, highest - lowest, 1.0)
    return rows, [(one[:, rows] - lowest) / spread for one in each]


def eights(length: float) -> int:
    """Round to the nearest number of pixels that JPEG's blocks fill: neighbouring pictures stay apart."""
    return 8 * max(1, round(length / 8))


def _plots(shares: Array, names: Array, length: int, every: int, width: int) -> list[Image.Image]:
    """Pictures of curves in (0, 1), shape (lived + 1, rows), over `length` steps."""
    height, margin = eights(width * 3 / 4), width // 8
    band = height / len(names)
    x = margin + np.arange(len(shares)) * (width - margin - 12) / length
    y = (np.arange(len(names)) + 0.85 - 0.7 * shares) * band
    paper = Image.new("RGB", (width, height), PAPER)
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(max(10, width // 32))
    for row, name in enumerate(names):
        pen.line((margin, (row + 1) * band - 1, width, (row + 1) * band - 1), fill=LINE)
        pen.text((8, (row + 0.5) * band), f"s{name}", font=font, anchor="lm", fill=INK)
        pen.line([*zip(x, y[:, row], strict=True)], fill=LINE, width=2)
    steps = [*range(0, len(shares) - 1, every), len(shares) - 1]
    return [_at(paper, x[: step + 1], y[: step + 1]) for step in steps]


def _at(paper: Image.Image, x: Array, y: Array) -> Image.Image:
    picture = paper.copy()
    pen = ImageDraw.Draw(picture)
    for curve in y.T:
        pen.line([*zip(x, curve, strict=True)], fill=PAST, width=2)
        pen.ellipse((x[-1] - 4, curve[-1] - 4, x[-1] + 4, curve[-1] + 4), fill=PAST)
    return picture
