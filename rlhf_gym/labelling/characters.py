"""State variables over time in plain characters, for terminals that can't show pictures."""

from __future__ import annotations

from rlhf_gym.labelling.states import what_changes
from rlhf_gym.segments import Array, Query

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
        plots = [
            _plot(shares[:, variable], segment.length, segment.terminated, width)
            for shares, segment in zip(sides, (query.left, query.right), strict=True)
        ]
        for row, (left, right) in enumerate(zip(*plots, strict=True)):
            lines.append(f"s{name}".ljust(NAME) * (row == 0) + " " * NAME * (row > 0) + f"|{left}| {right}".rstrip())
    return lines


def _plot(shares: Array, length: int, terminated: bool, width: int) -> list[str]:
    """One variable, as shares of its range, in `ROWS` lines of equal width; the highest comes first."""
    grid = [[" "] * width for _ in range(ROWS)]
    heights = (shares * (ROWS * len(MARKS) - 1)).round().astype(int)
    for step, height in enumerate(heights):
        column = step * (width - 2) // max(length, 1)
        grid[ROWS - 1 - height // len(MARKS)][column] = MARKS[height % len(MARKS)]
    if terminated:
        grid[ROWS - 1 - heights[-1] // len(MARKS)][(len(shares) - 1) * (width - 2) // length + 1] = "x"
    return ["".join(row) for row in grid]
