"""Draw how far labels go on every task, from stored rows alone: `python -m experiments.measurements.front_page`.

Makes `labels.png` and `labels.csv`, which holds the numbers it draws, in the folder of results.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from experiments.harness.records import append_rows
from experiments.measurements.fractions import Point, elsewhere, measured, results_with_rows
from rlhf_gym.plots import COLOURS, INK, MORE_COLOURS, SMALL, dress

MARKERS = "osDPX*p"  # none that looks like the arrows of points beyond the axis
HOLLOW = "DsPXv"
LOWEST, HIGHEST = -0.5, 2.2  # parts beyond are arrows at the edge, with their numbers
APART = 0.024  # decades between points with the same labels
PPO: dict[str, Any] = {"color": INK, "linewidth": 1, "linestyle": (0, (4, 3)), "zorder": 1}

Tasks = Mapping[str, Sequence[Point]]
Styles = Mapping[str, Mapping[str, Any]]


def front_page(results_dir: Path = Path("results")) -> Path:
    """Write the figure and its table.

    Returns:
        The figure.

    Raises:
        ValueError: If there is nothing to compare yet.
    """
    points, left_out = measured(results_with_rows(results_dir))
    points += elsewhere(results_dir)
    figure = draw(points, left_out)
    table, picture = results_dir / "labels.csv", results_dir / "labels.png"
    table.unlink(missing_ok=True)
    append_rows(table, [_rounded(point) for point in points])
    figure.savefig(picture, dpi=150)
    return picture


def _rounded(point: Point) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(point).items()}


def draw(points: Sequence[Point], left_out: Mapping[str, Sequence[str]] | None = None) -> Figure:
    """Draw a line per task against labels, what others report, and, at the left, what no answers at all reach.

    Args:
        points: Of all kinds; constant rewards of tasks without any labels are not drawn.
        left_out: Tasks to name in the caption, by why they aren't here.

    Raises:
        ValueError: If no task has a point with labels of its own.
    """
    names = list(dict.fromkeys(point.task for point in points if point.kind == "labels"))
    if not names:
        raise ValueError("no task has runs both with labels and of PPO on the true reward; do them first")
    own = [point for point in points if point.kind != "elsewhere" and point.task in names]
    tasks = {name: sorted((p for p in own if p.task == name), key=lambda p: p.labels) for name in names}
    looks = zip(names, cycle(COLOURS + MORE_COLOURS), cycle(MARKERS), strict=False)
    styles = {name: {"color": colour, "marker": marker} for name, colour, marker in looks}
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    none, some = figure.subplots(1, 2, sharey=True, width_ratios=[1, 7.5])
    others = [point for point in points if point.kind == "elsewhere"]
    _draw_constant(none, tasks, styles)
    _draw_labels(some, tasks, styles)
    _draw_elsewhere(some, others, tasks)
    _dress(none, some, points)
    _name_lines(some, tasks, styles)
    legend = figure.legend(
        *some.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8.5,
        labelcolor=INK, title=_caption(own, left_out or {}), handletextpad=0.3,
    )  # fmt: skip
    legend.get_title().set(**SMALL, multialignment="center")
    return figure


def _draw_labels(ax: Axes, tasks: Tasks, styles: Styles) -> None:
    for task, points in tasks.items():
        own = [point for point in points if point.kind == "labels"]
        at = [(_place(point, tasks), _shown(point)) for point in own]
        colour = styles[task]["color"]
        for place in range(len(own) - 1):
            inside = not any(map(_beyond, own[place : place + 2]))
            how = {"linestyle": "-"} if inside else {"linestyle": (0, (2, 2)), "alpha": 0.6}
            ax.plot(*zip(*at[place : place + 2], strict=True), color=colour, linewidth=1.6, zorder=3, **how)
        for (x, _), point in zip(at, own, strict=True):
            _draw_bar(ax, x, point, colour)
            _draw_mark(ax, x, point, styles[task], markersize=5.5, below=_neighbours(point, tasks))


def _draw_constant(ax: Axes, tasks: Tasks, styles: Styles) -> None:
    for place, (task, points) in enumerate(tasks.items()):
        for point in points:
            if point.kind == "constant":
                _draw_mark(ax, place, point, styles[task], markersize=4.5, below=_neighbours(point, tasks))
    ax.set_xlim(-1, len(tasks))


def _draw_mark(ax: Axes, x: float, point: Point, style: Mapping[str, Any], *, markersize: float, below: int) -> None:
    """A task's mark, or, beyond the axis, an arrow at the edge and the number, `below` so many others there."""
    how = {**style, "markersize": markersize, "zorder": 4, "clip_on": False}
    if not _beyond(point):
        ax.plot(x, point.fraction, **how)
        return
    up = point.fraction > HIGHEST
    ax.plot(x, _shown(point), **how | {"marker": "^" if up else "v", "markersize": 8})
    number, offset = f"{point.fraction:.1f}".replace("-", "−"), (7, (-10 if up else 10) * below)
    text = ax.annotate(number, (x, _shown(point)), offset, textcoords="offset points", zorder=5)
    text.set(color=style["color"], fontsize=8.5, va="center", path_effects=[withStroke(linewidth=2, foreground="w")])


def _neighbours(point: Point, tasks: Tasks) -> int:
    """How many points of earlier tasks are beyond the same end of the axis at the same labels."""
    same = [other for points in tasks.values() for other in points if other.labels == point.labels]
    return [other for other in same if _beyond(other) and _shown(other) == _shown(point) or other is point].index(point)


def _draw_elsewhere(ax: Axes, points: Sequence[Point], tasks: Tasks) -> None:
    """Hollow marks; where there are points of our own, to the right of them."""
    for point, marker in zip(points, HOLLOW, strict=False):
        x = _place(point, tasks)
        ax.plot(
            x, point.fraction, marker, markersize=8, markerfacecolor="white", markeredgecolor=INK, markeredgewidth=1.3,
            label=point.source, zorder=4,
        )  # fmt: skip
        _draw_bar(ax, x, point, INK)


def _draw_bar(ax: Axes, x: float, point: Point, colour: str) -> None:
    if point.low is not None and point.high is not None:
        top = min(point.high, 1e6)  # beyond any axis, and finite
        ax.vlines(x, point.low, top, color=colour, linewidth=1.1, alpha=0.55, zorder=2)


def _place(point: Point, tasks: Tasks) -> float:
    """Where a point stands across: at its labels, or near them where other tasks have as many."""
    same = _same(point.labels, tasks)
    place = same.index(point.task) if point.kind != "elsewhere" else len(same) + 0.5 * bool(same)
    return point.labels * float(10 ** (APART * (place - (len(same) - 1) / 2))) if same else point.labels


def _same(labels: int, tasks: Tasks) -> list[str]:
    return [task for task, points in tasks.items() if any(point.labels == labels for point in points)]


def _dress(none: Axes, some: Axes, points: Sequence[Point]) -> None:
    for ax in (none, some):
        dress(ax)
        ax.axhline(1, **PPO)
        ax.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    none.set_xticks([sum(none.get_xlim()) / 2], ["0: a constant\nreward"])
    none.set_ylabel("part of the return of PPO on the true reward")
    some.set(xscale="log", xlabel="labels")
    some.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    some.xaxis.set_major_formatter(EngFormatter(sep=""))
    some.xaxis.set_minor_locator(NullLocator())
    some.spines["left"].set_visible(False)
    some.tick_params(axis="y", length=0)
    some.set_xlim(0.75 * min(p.labels for p in points if p.labels), 1.4 * max(p.labels for p in points))
    some.set_ylim(*_limits(points))
    at_the_end: dict[str, Any] = {"transform": some.get_yaxis_transform(), "ha": "right", "va": "bottom"}
    some.text(1, 1.01, "PPO on the true reward", fontsize=8.5, color=INK, **at_the_end)


def _shown(point: Point) -> float:
    """Where a point stands: at the edge, if it would squeeze all others."""
    return min(max(point.fraction, LOWEST), HIGHEST)


def _beyond(point: Point) -> bool:
    return _shown(point) != point.fraction


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """Ends of the axis: at the arrows, if any; else every point is inside, and bars too unless they'd squeeze them."""
    lowest, highest = min(0.0, *map(_shown, points)), max(1.1, *map(_shown, points))
    lows = [p.low for p in points if p.low is not None and max(LOWEST, lowest - 0.5) < p.low]
    highs = [p.high for p in points if p.high is not None and p.high < min(HIGHEST, highest + 0.5)]
    return min([lowest, *lows]) - 0.05, max([highest, *highs]) + 0.05


def _name_lines(ax: Axes, tasks: Tasks, styles: Styles) -> None:
    """Name each task beside the axes, where no line runs, in the order in which their lines end."""
    order = sorted(tasks, key=lambda task: -tasks[task][-1].fraction)
    samples = [Line2D([], [], linewidth=1.6, markersize=5.5, **styles[task]) for task in order]
    ax.legend(
        samples, [_short(task) for task in order], loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False,
        fontsize=8.5, labelcolor=INK, labelspacing=0.7, handlelength=1.8, borderaxespad=0,
    )  # fmt: skip


def _short(task: str) -> str:
    """A task's name without its version, a line for each of its parts."""
    name, _, how = task.partition(", ")
    return name.partition("-v")[0] + f",\n{how}" * bool(how)


def _caption(own: Sequence[Point], left_out: Mapping[str, Sequence[str]]) -> str:
    seeds = [point.n_seeds for point in own if point.n_seeds]
    count = f"{min(seeds)} to {max(seeds)} seeds" if min(seeds) < max(seeds) else f"{seeds[0]} seeds"
    above = sorted({point.task for point in own if point.above})
    lines = [
        f"filled: this toolkit, interquartile mean over {count} with its 95 % bootstrap interval, "
        "points with the same labels set apart",
        *[f"{', '.join(above)}: part of the gain over an untrained policy, as returns are negative"] * bool(above),
        *["arrow and dashed line: beyond the axis, at the number beside it"] * any(map(_beyond, own)),
        *[f"left out, as {why}: {', '.join(tasks)}" for why, tasks in left_out.items()],
        "hollow: others, each with its own tasks, steps and settings",
    ]
    return "\n".join(lines)


def main(results_dir: Path = Path("results")) -> int:
    """Write the figure of the front page, and its table.

    Args:
        results_dir: Folder of results.
    """
    try:
        print(front_page(results_dir))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
