"""State variables over time in plain characters, for terminals that can't show pictures."""

from __future__ import annotations

import numpy as np

from rlhf_gym.labelling.states import what_changes
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Array

MOST_VARIABLES = 4
ROWS = 4
LEAST_WIDTH = 12
"""Characters of a plot, where there are more than two."""
MARKS = "_-'"
"""From low to high within a row, so that four rows tell twelve heights apart."""
NAME = 4
"""Characters before a plot."""


def plot_states(query: Query, *, columns: int) -> list[str]:
    """Plot all options' observations side by side, time from left to right, with the same scales.

    Shown are the variables that change most, at most four, named by their place in the observation. An `x` follows the
    last step of an option whose episode ended in it. Options that don't fit beside each other stand below each other,
    with fewer variables.

    Args:
        query: What to plot.
        columns: Most characters of a line, at least 20.

    Returns:
        Lines of ASCII; one that says so where observations aren't vectors.
    """
    if query.left.observations.ndim != 2:
        return [f"(observations have shape {query.left.observations.shape[1:]}: no plot in characters; see the files)"]
    shown = len(query.options)
    across = 2 if shown == 2 else max(1, min(shown, (columns - NAME) // (LEAST_WIDTH + 2)))
    variables, shares = what_changes(query, most=max(1, MOST_VARIABLES // -(-shown // across)))
    width = (columns - NAME - (2 * across - 1)) // across
    lines = []
    for first in range(0, shown, across):
        places = range(first, min(first + across, shown))
        lines.append(
            (" " * NAME + "".join(_caption(query.names[place], place == first, width) for place in places)).rstrip()
        )
        for variable, name in enumerate(variables):
            plots = [
                _plot(shares[place][:, variable], query.options[place].length, query.options[place].terminated, width)
                for place in places
            ]
            margins = [f"s{name}".ljust(NAME), *[" " * NAME] * (ROWS - 1)]
            lines += [f"{m}|{'| '.join(row)}".rstrip() for m, *row in zip(margins, *plots, strict=True)]
    return lines


def _caption(name: str, is_first: bool, width: int) -> str:
    return (f" {name}" if is_first else name).ljust(width + 2)


def _plot(shares: Array, length: int, terminated: bool, width: int) -> list[str]:
    """Plot one variable, as shares of its range, in `ROWS` lines of equal width; the highest comes first."""
    grid = [[" "] * width for _ in range(ROWS)]
    steps = np.linspace(0, length, width - 1)  # the last column is for an ending
    steps = steps[steps <= len(shares) - 1]
    heights = np.interp(steps, np.arange(len(shares)), shares) * (ROWS * len(MARKS) - 1)
    for column, height in enumerate(heights.round().astype(int)):
        grid[ROWS - 1 - height // len(MARKS)][column] = MARKS[height % len(MARKS)]
    if terminated:
        grid[ROWS - 1 - round(heights[-1]) // len(MARKS)][len(steps)] = "x"
    return ["".join(row) for row in grid]
