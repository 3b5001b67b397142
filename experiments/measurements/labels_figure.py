"""The figure of how far labels go: a panel for each task, all on the same axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, FixedLocator, NullLocator

from experiments.measurements.fractions import Point, stem
from rlhf_gym.plots import COLOURS, INK, MUTED, SMALL, dress
from rlhf_gym.stats import ENOUGH, mean_name

LOWEST, HIGHEST = -0.5, 2.2  # parts beyond are arrows at the edge, with their numbers
LONGER = ", 1M steps"  # ends the name of a task in longer runs, which are drawn in the task's panel
ASIDE, AROUND = 1.3, 1.12  # by which factors longer runs stand beside the others, and PPO's band around both
TICKS = (20, 50, 100, 200, 500, 1000)
COLUMNS, ROOM = 4, 22  # panels beside each other, and letters of a title over one; longer titles are smaller
OURS, CONSTANT = COLOURS[0], COLOURS[1]
PPO: dict[str, Any] = {"color": INK, "linewidth": 1, "linestyle": (0, (4, 3)), "zorder": 2}
FIXED: dict[str, Any] = {"color": CONSTANT, "linewidth": 1.6, "linestyle": (0, (1, 1.3)), "zorder": 2}
BAND: dict[str, Any] = {"color": MUTED[1], "alpha": 0.18, "linewidth": 0}
OURS_LONGER: dict[str, Any] = {
    "marker": "s", "color": OURS, "linestyle": "none", "markersize": 5, "markerfacecolor": "white"
}  # fmt: skip
HOLLOW: dict[str, Any] = {
    "marker": "D",
    "color": INK,
    "linestyle": "none",
    "markersize": 6,
    "markerfacecolor": "white",
    "markeredgecolor": INK,
    "markeredgewidth": 1.2,
}


def draw(points: Sequence[Point], left_out: Mapping[str, Sequence[str]] | None = None) -> Figure:
    """Draw a panel per task: parts of the best PPO's gain against labels, beside a constant reward and others.

    Runs of a million steps stand a little to the right of their number of labels.

    Args:
        points: Points of all kinds; those of tasks without labels of our own are not drawn.
        left_out: Tasks to name in the caption, by the reason why they are left out.

    Raises:
        ValueError: If no task has a point with labels of its own.
    """
    tasks = by_task(points)
    if not tasks:
        raise ValueError("no task has runs both with labels and of PPO on the true reward; do them first")
    rows = -(-len(tasks) // COLUMNS)
    columns = min(COLUMNS, len(tasks))
    figure = Figure(figsize=(8, 1.2 + 1.75 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax in panels.flat[len(tasks) :]:
        ax.set_visible(False)
    for ax, (task, own) in zip(panels.flat, tasks.items(), strict=False):
        _draw_task(ax, own)
        title = stem(task)
        size = 8.5 * min(1, ROOM / len(title))
        ax.set_title(title, loc="left", fontsize=size, fontweight="bold", color=INK, pad=5)
    shown = [point for own in tasks.values() for point in own]
    _dress(panels, len(tasks), shown)
    figure.supylabel("part of the best PPO's gain on the true reward", fontsize=9.5, color=INK)
    _explain(figure, shown, left_out or {})
    return figure


def by_task(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Group the points by task, sorted by labels; points from elsewhere go to the task of their environment.

    Longer runs go to their task, after the others.
    """
    own = [_task(p) for p in points]
    named = sorted({_task(p) for p in points if p.kind == "labels"}, key=own.index)
    first = {stem(task): task for task in reversed(named)}
    families = list(dict.fromkeys(_family(task) for task in named))
    names = sorted(named, key=lambda task: families.index(_family(task)))
    found: dict[str, list[Point]] = {task: [] for task in names}
    for point in sorted(points, key=lambda p: (_is_longer(p), p.labels)):
        task = first.get(stem(point.task), "") if point.kind == "elsewhere" else _task(point)
        if task in found:
            found[task].append(point)
    return found


def _draw_task(ax: Axes, points: Sequence[Point]) -> None:
    ax.axhline(1, **PPO)
    for longer in (False, True):
        own = [point for point in points if point.kind == "labels" and _is_longer(point) is longer]
        _draw_band(ax, own)
        for a, b in zip(own, own[1:], strict=False):
            beyond = _beyond(a) or _beyond(b)
            how = {"linestyle": (0, (2, 2)), "alpha": 0.6} if beyond else {"linestyle": "-"}
            ax.plot([_at(a), _at(b)], [_shown(a), _shown(b)], color=OURS, linewidth=1.6, zorder=3, **how)
    for point in points:
        if point.kind == "constant":
            _draw_constant(ax, point)
        else:
            _draw_mark(ax, point)


def _draw_band(ax: Axes, own: Sequence[Point]) -> None:
    """Draw PPO's lowest to highest seed around these points."""
    if own and own[0].ppo_low is not None and own[0].ppo_high is not None:
        left, right = _at(own[0]) / AROUND, _at(own[-1]) * AROUND
        height = own[0].ppo_high - own[0].ppo_low
        ax.add_patch(Rectangle((left, own[0].ppo_low), right - left, height, zorder=0, **BAND))


def _draw_mark(ax: Axes, point: Point) -> None:
    """Draw a mark with a bar over its seeds; beyond the axis, an arrow at the edge with the number."""
    ours = point.kind == "labels"
    if point.low is not None and point.high is not None:
        ax.vlines(_at(point), point.low, point.high, color=OURS if ours else INK, linewidth=1.3, alpha=0.6, zorder=2)
    if not _beyond(point):
        how = OURS_LONGER if _is_longer(point) else {"marker": "o", "color": OURS, "markersize": 5} if ours else HOLLOW
        ax.plot(_at(point), point.fraction, clip_on=False, zorder=4, **how)
        return
    up = point.fraction > HIGHEST
    ax.plot(_at(point), _shown(point), marker="^" if up else "v", color=OURS, markersize=7, clip_on=False, zorder=4)
    ax.annotate(
        _number(point), (_at(point), _shown(point)), (-6, 0), textcoords="offset points", zorder=5, color=OURS,
        ha="right", fontsize=8, va="center", path_effects=[withStroke(linewidth=2, foreground="w")],
    )  # fmt: skip


def _draw_constant(ax: Axes, point: Point) -> None:
    """Draw a horizontal line, because it has no labels; beyond the axis, its number at the edge."""
    if not _beyond(point):
        ax.axhline(point.fraction, **FIXED)
    else:
        up = point.fraction > HIGHEST
        ax.text(
            0.985, _shown(point), f"{_number(point)} {'▲' if up else '▼'}", transform=ax.get_yaxis_transform(),
            ha="right", va="top" if up else "bottom", color=CONSTANT, fontsize=8, zorder=5,
        )  # fmt: skip


def _number(point: Point) -> str:
    return f"{point.fraction:.1f}".replace("-", "−")


def _dress(panels: Any, drawn: int, points: Sequence[Point]) -> None:
    at = [p.labels for p in points if p.labels]
    for number, ax in enumerate(panels.flat[:drawn]):
        dress(ax)
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator(TICKS))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_minor_locator(NullLocator())
        lowest = number + panels.shape[1] >= drawn
        ax.tick_params(labelsize=8, labelbottom=lowest)
        ax.set_xlabel("labels" if lowest else "", fontsize=8.5)
        ax.grid(axis="y", color="#ececec", linewidth=0.8)
        ax.set_xlim(0.75 * min(at), 1.4 * max(at))
        ax.set_ylim(*_limits(points))


def _shown(point: Point) -> float:
    """Get the height of a point: at the edge, if it would squeeze all others."""
    return min(max(point.fraction, LOWEST), HIGHEST)


def _beyond(point: Point) -> bool:
    return _shown(point) != point.fraction


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """Compute the ends of the axis: all points or arrows are inside, and bars unless they'd squeeze the points."""
    lowest, highest = min(0.0, *map(_shown, points)), max(1.1, *map(_shown, points))
    lows = [p.low for p in points if p.low is not None and max(LOWEST, lowest - 0.5) < p.low]
    highs = [p.high for p in points if p.high is not None and p.high < min(HIGHEST, highest + 0.5)]
    return min([lowest, *lows]) - 0.05, max([highest, *highs]) + 0.05


def _is_longer(point: Point) -> bool:
    return point.task.endswith(LONGER)


def _task(point: Point) -> str:
    return point.task.removesuffix(LONGER)


def _at(point: Point) -> float:
    """Get where a point stands on the axis of labels."""
    return point.labels * (ASIDE if _is_longer(point) else 1)


def _family(task: str) -> str:
    return stem(task).partition(", ")[0]


def _explain(figure: Figure, points: Sequence[Point], left_out: Mapping[str, Sequence[str]]) -> None:
    """Add one legend for all panels, with a caption on what they don't show."""
    samples = [
        Line2D([], [], color=OURS, marker="o", markersize=5, linewidth=1.6, label="this toolkit"),
        Line2D([], [], label="constant reward, no labels", **FIXED),
        Line2D([], [], label="best PPO on the true reward", **PPO),
    ]
    if any(map(_is_longer, points)):
        samples.insert(1, Line2D([], [], label=f"this toolkit{LONGER}", **OURS_LONGER))
    for source in dict.fromkeys(point.source.partition(" on ")[0] for point in points if point.kind == "elsewhere"):
        samples.append(Line2D([], [], label=source, **HOLLOW))
    legend = figure.legend(
        handles=samples, loc="outside lower center", ncols=3, frameon=False, fontsize=8.5, labelcolor=INK,
        title=_caption(points, left_out), handlelength=2.4, columnspacing=1.8,
    )  # fmt: skip
    legend.get_title().set(**SMALL, multialignment="center")


def _caption(points: Sequence[Point], left_out: Mapping[str, Sequence[str]]) -> str:
    seeds = [point.n_seeds for point in points if point.n_seeds]
    ppo = [point.ppo_seeds for point in points if point.ppo_seeds]
    fewer = f", of fewer than {ENOUGH} the mean" * (min(seeds) < ENOUGH <= max(seeds))
    of_ppo = f" (PPO: {_range(ppo)})" if ppo else ""
    lines = [
        f"mark: {mean_name(max(seeds))} over {_range(seeds)} seeds{of_ppo}{fewer}",
        "bar: lowest to highest seed, grey: that of the best PPO",
        "0: untrained policy · 1: the better of PPO on the true reward and on the true reward, scaled",
        *[f"left out, as {why}: {', '.join(map(stem, tasks))}" for why, tasks in left_out.items()],
    ]
    return "\n".join(fill(line, 110) for line in lines)


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least} to {most}" if least < most else f"{least}"
