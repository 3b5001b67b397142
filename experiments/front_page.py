"""Draw how far labels go on every task, from stored rows alone: `python -m experiments.front_page`.

Makes `labels.png` and `labels.csv`, which holds the numbers it draws, in the folder of results.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from experiments.fractions import Point, elsewhere, measured, results_with_rows
from experiments.records import append_rows
from rlhf_gym.plots import COLOURS, INK, SMALL, dress

MARKERS = "osD^v"
HOLLOW = "DsPXv"
LOWEST, HIGHEST = -0.5, 2.2  # parts beyond are written as numbers
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


def draw(points: Sequence[Point], left_out: Sequence[str] = ()) -> Figure:
    """Draw a line per task against labels, what others report, and, at the left, what no answers at all reach.

    Args:
        points: Of all kinds; constant rewards of tasks without any labels are not drawn.
        left_out: Tasks to name in the caption.

    Raises:
        ValueError: If no task has a point with labels of its own.
    """
    names = list(dict.fromkeys(point.task for point in points if point.kind == "labels"))
    if not names:
        raise ValueError("no task has runs both with labels and of PPO on the true reward; do them first")
    own = [point for point in points if point.kind != "elsewhere" and point.task in names]
    tasks = {name: sorted((p for p in own if p.task == name), key=lambda p: p.labels) for name in names}
    colours, markers = COLOURS * len(MARKERS), [marker for marker in MARKERS for _ in COLOURS]
    styles = {name: {"color": c, "marker": m} for name, c, m in zip(names, colours, markers, strict=False)}
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    none, some = figure.subplots(1, 2, sharey=True, width_ratios=[1, 7.5])
    others = [point for point in points if point.kind == "elsewhere"]
    _draw_constant(none, tasks, styles)
    _draw_labels(some, tasks, styles)
    _draw_elsewhere(some, others, tasks)
    _dress(none, some, points)
    _name_lines(some, tasks, styles)
    handles, titles = some.get_legend_handles_labels()
    legend = figure.legend(
        handles, titles, loc="outside lower center", ncols=2, frameon=False, fontsize=8.5, labelcolor=INK,
        title=_caption(own, left_out), handletextpad=0.3,
    )  # fmt: skip
    legend.get_title().set(**SMALL, multialignment="center")
    return figure


def _draw_labels(ax: Axes, tasks: Tasks, styles: Styles) -> None:
    for task, points in tasks.items():
        own = [point for point in points if point.kind == "labels"]
        xs = [_place(point, tasks) for point in own]
        ax.plot(xs, [_shown(point) for point in own], linewidth=1.6, markersize=5.5, zorder=3, **styles[task])
        for x, point in zip(xs, own, strict=True):
            _draw_bar(ax, x, point, styles[task]["color"])
            if _shown(point) != point.fraction:
                beside: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8.5, "va": "center"}
                number = f"{point.fraction:.1f}".replace("-", "−")
                ax.annotate(number, (x, _shown(point)), (7, 0), color=styles[task]["color"], **beside)


def _draw_constant(ax: Axes, tasks: Tasks, styles: Styles) -> None:
    for place, (task, points) in enumerate(tasks.items()):
        for point in points:
            if point.kind == "constant":
                ax.plot(place, _shown(point), markersize=4.5, clip_on=False, **styles[task])
    ax.set_xlim(-1, len(tasks))


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
    none.set_xticks([(len(none.lines) - 2) / 2], ["0: a constant\nreward"])
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
    """Where a point stands: at the edge, with its number beside it, if it would squeeze all others."""
    return min(max(point.fraction, LOWEST), HIGHEST)


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """Ends of the axis: every point is inside, and bars are too unless they'd squeeze the points."""
    lowest, highest = min(0.0, *map(_shown, points)), max(1.1, *map(_shown, points))
    lows = [p.low for p in points if p.low is not None and p.low > lowest - 0.5]
    highs = [p.high for p in points if p.high is not None and p.high < highest + 0.5]
    return min([lowest, *lows]) - 0.05, max([highest, *highs]) + 0.05


def _name_lines(ax: Axes, tasks: Tasks, styles: Styles) -> None:
    """Write each task's name at the end of its line; above its beginning where others' points follow closely."""
    ends = [points[-1].labels for points in tasks.values()]
    low, high = ax.get_ylim()
    for end in set(ends):
        followed = any(end < point.labels < 3 * end for points in tasks.values() for point in points)
        right = end * 10 ** (APART * len(_same(end, tasks)) / 2 + 0.1)
        group = {task: points for task, points in tasks.items() if points[-1].labels == end}
        heights = spread([_shown(points[-1]) for points in group.values()], gap=0.045 * (high - low))
        for (task, points), height in zip(group.items(), heights, strict=True):
            if followed:
                first = next(point for point in points if point.kind == "labels")
                _write(ax, task, (_place(first, tasks), _shown(first)), (-3, 6), textcoords="offset points")
            else:
                line = {"color": styles[task]["color"], "linewidth": 0.8, "shrinkA": 1, "shrinkB": 4}
                line |= {"arrowstyle": "-", "relpos": (0, 0.5)}
                at = (_place(points[-1], tasks), _shown(points[-1]))
                _write(ax, task, at, (right, height), va="center", arrowprops=line)


def _write(ax: Axes, task: str, at: tuple[float, float], where: tuple[float, float], **how: Any) -> None:
    """A task's name, without its version, legible on top of lines."""
    name = re.sub(r"-v\d+", "", task)
    text = ax.annotate(name, at, where, fontsize=8.5, color=INK, zorder=5, **how)
    text.set_path_effects([withStroke(linewidth=3, foreground="white")])


def spread(heights: Sequence[float], *, gap: float) -> list[float]:
    """Heights at least a gap apart, in the same order and each near its own.

    Args:
        heights: Shape (n,), in any order.
        gap: Least distance of two that are next to each other.
    """
    order = np.argsort(heights, kind="stable")
    groups = [[float(heights[i])] for i in order]
    while True:
        middles = [sum(group) / len(group) for group in groups]
        pairs = range(len(groups) - 1)
        room = [gap * (len(groups[i]) + len(groups[i + 1])) / 2 for i in pairs]
        close = next((i for i in pairs if middles[i + 1] - middles[i] < room[i] - 1e-12), None)
        if close is None:
            break
        groups[close : close + 2] = [groups[close] + groups[close + 1]]
    placed = [m + gap * (k - (len(g) - 1) / 2) for m, g in zip(middles, groups, strict=True) for k in range(len(g))]
    return [placed[list(order).index(i)] for i in range(len(heights))]


def _caption(own: Sequence[Point], left_out: Sequence[str]) -> str:
    seeds = [point.n_seeds for point in own if point.n_seeds]
    count = f"{min(seeds)} to {max(seeds)} seeds" if min(seeds) < max(seeds) else f"{seeds[0]} seeds"
    above = sorted({point.task for point in own if point.above})
    lines = [
        f"filled: this toolkit, interquartile mean over {count} with its 95 % bootstrap interval, "
        "points with the same labels set apart",
        *[f"{', '.join(above)}: part of the gain over an untrained policy, as returns are negative"] * bool(above),
        *["beyond the axis: the number beside the mark"] * any(_shown(point) != point.fraction for point in own),
        *[f"left out, as returns are negative: {', '.join(left_out)}"] * bool(left_out),
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
