"""State variables over time in plain characters, for terminals that can't show pictures."""

from __future__ import annotations

import numpy as np

from rlhf_gym.labelling.states import what_changes
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Array

MOST_VARIABLES = 4
ROWS = 4
MARKS = "_-'"
"""From low to high within a row, so that four rows tell twelve heights apart."""
NAME = 4
"""Characters before a plot."""


def plot_states(query: Query, *, columns: int) -> list[str]:
    """Both sides' observations side by side, time from left to right, with the same scales.

    Shown are the variables that change most, at most four, named by their place in the observation. An `x` follows the
    last step of a side whose episode ended in it.

    Args:
        query: What to plot.
        columns: Most characters of a line, at least 20.

    Returns:
        Lines of ASCII; one that says so where observations aren't vectors.
    """
    if query.left.observations.ndim != 2:
        return [f"(observations have shape {query.left.observations.shape[1:]}: no plot in characters; see the files)"]
    names, sides = what_changes(query, most=MOST_VARIABLES)
    width = (columns - NAME - 3) // 2
    lines = [" " * NAME + " left".ljust(width + 2) + "right"]
    for variable, name in enumerate(names):
        left, right = (
            _plot(shares[:, variable], segment.length, segment.terminated, width)
            for shares, segment in zip(sides, (query.left, query.right), strict=True)
        )
        margins = [f"s{name}".ljust(NAME), *[" " * NAME] * (ROWS - 1)]
        lines += [f"{m}|{a}| {b}".rstrip() for m, a, b in zip(margins, left, right, strict=True)]
    return lines


def _plot(shares: Array, length: int, terminated: bool, width: int) -> list[str]:
    """One variable, as shares of its range, in `ROWS` lines of equal width; the highest comes first."""
    grid = [[" "] * width for _ in range(ROWS)]
    steps = np.linspace(0, length, width - 1)  # the last column is for an ending
    steps = steps[steps <= len(shares) - 1]
    heights = np.interp(steps, np.arange(len(shares)), shares) * (ROWS * len(MARKS) - 1)
    for column, height in enumerate(heights.round().astype(int)):
        grid[ROWS - 1 - height // len(MARKS)][column] = MARKS[height % len(MARKS)]
    if terminated:
        grid[ROWS - 1 - round(heights[-1]) // len(MARKS)][len(steps)] = "x"
    return ["".join(row) for row in grid]
