"""State variables over time in plain characters, for terminals that can't show pictures."""

from __future__ import annotations

import numpy as np

from rlhf_gym.labelling.ruler import ruler
from rlhf_gym.labelling.states import what_changes
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Array, Segment

MOST_VARIABLES = 4
ROWS = 4
LEAST_WIDTH = 12
"""Least characters of a plot, if there are more than two plots."""
MARKS = "_-'"
"""From low to high within a row, so that four rows tell twelve heights apart."""
NAME = 4
"""Characters before a plot."""


def plot_states(query: Query, *, columns: int, parts: int = 0) -> list[str]:
    """Plot all options' observations side by side, time from left to right, with the same scales.

    The variables that change most are shown, at most four, named by their index in the observation. An `x` follows the
    last step of an option that terminated. Options that don't fit side by side go below each other, with fewer
    variables.

    Args:
        query: What to plot.
        columns: Most characters of a line, at least 20.
        parts: Number of equal parts of the lived steps, numbered on a line below; the lived steps then fill the plot.
            0 leaves the line out.

    Returns:
        Lines of ASCII; a single line that says so if observations aren't vectors or numbers.
    """
    if query.left.observations.ndim > 2:
        return [f"(observations have shape {query.left.observations.shape[1:]}: no plot in characters; see the files)"]
    shown = len(query.options)
    across = 2 if shown == 2 else max(1, min(shown, (columns - NAME) // (LEAST_WIDTH + 2)))
    variables, shares = what_changes(query, most=max(1, MOST_VARIABLES // -(-shown // across)))
    width = (columns - NAME - (2 * across - 1)) // across
    lines = []
    for first in range(0, shown, across):
        places = range(first, min(first + across, shown))
        if shown > 1:
            captions = (_caption(query.names[place], place == first, width) for place in places)
            lines.append((" " * NAME + "".join(captions)).rstrip())
        for variable, name in enumerate(variables):
            plots = [_plot(shares[place][:, variable], query.options[place], width, parts) for place in places]
            margins = [f"s{name}".ljust(NAME), *[" " * NAME] * (ROWS - 1)]
            lines += [f"{m}|{'| '.join(row)}".rstrip() for m, *row in zip(margins, *plots, strict=True)]
        if parts:
            lines.append((" " * NAME + f" {ruler(width - 1, parts)}  " * len(places)).rstrip())
    return lines


def _caption(name: str, is_first: bool, width: int) -> str:
    return (f" {name}" if is_first else name).ljust(width + 2)


def _plot(shares: Array, segment: Segment, width: int, parts: int) -> list[str]:
    """Plot one variable, as shares of its range, in `ROWS` lines of equal width; the highest comes first."""
    grid = [[" "] * width for _ in range(ROWS)]
    steps = np.linspace(0, segment.lived if parts else segment.length, width - 1)  # the last column is for an ending
    steps = steps[steps <= segment.lived]
    heights = np.interp(steps, np.arange(len(shares)), shares) * (ROWS * len(MARKS) - 1)
    for column, height in enumerate(heights.round().astype(int)):
        grid[ROWS - 1 - height // len(MARKS)][column] = MARKS[height % len(MARKS)]
    if segment.terminated:
        grid[ROWS - 1 - round(heights[-1]) // len(MARKS)][len(steps)] = "x"
    return ["".join(row) for row in grid]
