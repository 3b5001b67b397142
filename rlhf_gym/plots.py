"""Figures, drawn from plain tables: rows of `setting, seed, env_steps, labels, true_return, ...`.

They use Matplotlib's objects, not pyplot: nothing is shown, and no global state is changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation, blended_transform_factory
from numpy.typing import NDArray

from rlhf_gym.errors import BadInput
from rlhf_gym.stats import ENOUGH, interquartile_mean, mean_interval, mean_name
from rlhf_gym.titles import Line as Line
from rlhf_gym.titles import titles

if TYPE_CHECKING:
    from rlhf_gym.runs import Run

Rows = Sequence[Mapping[str, Any]]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # safe for colour-blind eyes: Okabe & Ito
MORE_COLOURS = ("#882255", "#7A4A1E", "#A58BEA", "#8F8F1F", "#332288", "#14532D")  # where one figure needs twelve
LONG_DASHES = (0, (7, 1.2))  # where it needs still more
MUTED = ("#3b3b3b", "#8c8c8c", "#a58a5f", "#7391a8", "#a5809a", "#7d9a78")
DASHES = ((0, (5, 2)), (0, (1, 1.3)), (0, (5, 1.5, 1, 1.5)), (0, (9, 3)), (0, (3, 1.2)), (0, (3, 1, 1, 1, 1, 1)))
INK = "#333333"
SMALL: dict[str, Any] = {"fontsize": 8.5, "color": "#6b6b6b"}
STEPS, LABELS = "environment steps", "labels"
RETURN, GOAL = "true return while learning", "return by the goal while learning"
SECONDS = "seconds of the teacher's time"


@dataclass(frozen=True)
class Panel:
    """Final figures of every seed, side by side.

    Args:
        measure: Column of the table of runs.
        title: What it measures, with its unit.
        asked: The figure to reach, drawn as a line named "aim"; None for none.
        limits: Ends of the axis; None fits the data.
    """

    measure: str
    title: str
    asked: float | None = None
    limits: tuple[float | None, float | None] = (None, None)


def learning_curve(
    runs: Sequence[Run], output: str | Path | None = None, *, interval: bool = False, seconds: bool = False
) -> Figure:
    """Draw true returns while learning, or the goal's where all runs have the same one, against steps and labels.

    Runs that differ only in seeds and steps become one line, their interquartile mean, with a band from the lowest run
    to the highest. In the right panel, a reward that needs no labels is a horizontal line.

    Args:
        runs: As :func:`rlhf_gym.runs.read_run` gives them; their steps may differ.
        output: File to write, its format by its ending (png, svg, pdf); None writes nothing.
        interval: Draw the mean with its 95 % confidence interval instead.
        seconds: Draw returns against seconds of a teacher's time instead of labels, to compare kinds of feedback.

    Raises:
        BadInput: If there are no runs, none has finished an episode, or one is too old to know the seconds.
    """
    if not runs:
        raise BadInput("got no runs to draw; give at least one run directory")
    envs = {run.config.env_id for run in runs}
    lines = titles([run.config for run in runs])
    rows = [
        {**row, "setting": line.title, "seed": number}
        for number, (run, line) in enumerate(zip(runs, lines, strict=True))
        for row in run.metrics
    ]
    titled = {line.title: line for line in lines}
    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    y, name = _judged(runs)
    draw_curves(left, rows, titled, x="env_steps", y=y, interval=interval)
    if seconds and (older := [run for run in runs if "teacher_seconds" not in run.metrics[0]]):
        raise BadInput(f"{older[0].path} was made before seconds of a teacher's time were counted; draw it by labels")
    draw_curves(right, rows, titled, x="teacher_seconds" if seconds else "labels", y=y, interval=interval)
    left.set(xlabel=STEPS, ylabel=name)
    right.set(xlabel=SECONDS if seconds else LABELS)
    left.set_title(envs.pop() if len(envs) == 1 else "", loc="left", color=INK, fontweight="bold")
    _legend(figure, left, rows, interval=interval)
    if output is not None:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=150)
    return figure


def _judged(runs: Sequence[Run]) -> tuple[str, str]:
    """Choose the column of returns that runs are compared by, and its name."""
    goals = {run.config.feedback.goal for run in runs}
    known = all(any(math.isfinite(row.get("goal_return", math.nan)) for row in run.metrics) for run in runs)
    return ("goal_return", GOAL) if None not in goals and len(goals) == 1 and known else ("true_return", RETURN)


def result_figure(
    curves: Rows,
    runs: Rows,
    lines: Mapping[str, Line],
    panels: Sequence[Panel],
    *,
    y: str | None = RETURN,
    title: str = "",
    evaluated: str = "deterministic policy",
) -> Figure:
    """Draw an experiment's result: curves of every setting, and beside them the final figures of every seed.

    Args:
        curves: A row per round: `setting, seed, env_steps, true_return`.
        runs: A row per run: `setting, seed` and a column per panel.
        lines: The settings to draw, in order; those without rows are left out.
        panels: What to draw beside the curves.
        y: Name of what the curves show; None leaves them out, if the return says nothing about what was taught.
        title: What the figure is about, written above it; empty leaves it out.
        evaluated: The policy whose final figures the panels show, written above the first; the curves are of the policy
            while it explores.

    Raises:
        BadInput: If there are rows for none of the settings.
    """
    runs = [row for row in runs if row["setting"] in lines]
    lines = {name: line for name, line in lines.items() if any(row["setting"] == name for row in runs)}
    height = max(3.5, 2.0 + 0.36 * len(lines)) if y else 1.7 + 0.36 * len(lines)
    # One width for any number of panels, because pages scale pictures and text has to stay the same size.
    figure = Figure(figsize=(10, height), layout="constrained")
    widths = [1.5] * (y is not None) + [1.0] * len(panels)
    axes = list(figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0])
    seeds = axes[-len(panels) :]
    if y is not None:
        draw_curves(axes[0], curves, lines, x="env_steps")
        axes[0].set(xlabel=STEPS, ylabel=y)
    for ax, panel in zip(seeds, panels, strict=True):
        draw_seeds(ax, runs, lines, panel)
        ax.tick_params(axis="y", labelleft=ax is seeds[0])
    room = 18 if any(panel.asked is not None for panel in panels) else 6  # for an aim's name
    for ax, whose in zip(axes, ["while learning, exploring"] * (y is not None) + [evaluated], strict=False):
        ax.set_title(whose, loc="left", pad=room, **SMALL)
    if y is not None:
        _line_samples(figure, seeds[0], lines)
    if title:
        figure.suptitle(fill(title, 80), x=0.005, ha="left", fontsize=11, fontweight="bold", color=INK)
    mean, one = INTERQUARTILE, "dot: one seed"
    drawn = (f"line and bar: {mean}", f"band: lowest to highest seed · {one}") if y else (f"bar: {mean}", one)
    figure.supxlabel(_caption(runs, *drawn), **SMALL)
    return figure


def draw_curves(
    ax: Axes, rows: Rows, lines: Mapping[str, Line], *, x: str, y: str = "true_return", interval: bool = False
) -> None:
    """Draw the interquartile mean of each setting over its seeds, and a band from the lowest to the highest.

    With `interval`, the mean and its 95 % confidence interval (:func:`rlhf_gym.stats.mean_interval`).

    Against labels, or the seconds they take, a setting without any is a horizontal line at its final value.

    Raises:
        BadInput: If there is nothing to draw.
    """
    drawn = False
    for (name, line), style in zip(lines.items(), _styles(lines), strict=True):
        curves = _curves([row for row in rows if row["setting"] == name], x, y)
        if not curves:
            continue
        drawn = True
        if x in ("labels", "teacher_seconds") and all(xs[-1] == 0 for xs, _ in curves):
            ax.axhline(interquartile_mean([ys[-1] for _, ys in curves]), label=line.title, **style)
            continue
        grid, seeds = over_seeds(curves)
        middle = seeds.mean(axis=0) if interval else [interquartile_mean(column) for column in seeds.T]
        marker = "o" if len(grid) == 1 else None
        ax.plot(grid, middle, label=line.title, marker=marker, zorder=2 if line.control else 3, **style)
        if len(seeds) > 1:
            low, high = mean_interval(seeds) if interval else (seeds.min(axis=0), seeds.max(axis=0))
            alpha = 0.08 if line.control else 0.20
            ax.fill_between(grid, low, high, color=style["color"], alpha=alpha, linewidth=0, zorder=1)
    if not drawn:
        raise BadInput(f"there is no {y} to draw: no episode has ended in these runs; train for longer")
    dress(ax)
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.grid(axis="y", color="#e6e6e6", linewidth=0.8)


def draw_seeds(ax: Axes, runs: Rows, lines: Mapping[str, Line], panel: Panel) -> None:
    """Draw a row per setting: a dot per seed, and a bar at their interquartile mean."""
    for place, (name, style) in enumerate(zip(lines, _styles(lines), strict=True)):
        colour = style["color"]
        of_setting = [row[panel.measure] for row in runs if row["setting"] == name]
        values = np.array([float(value) for value in of_setting if value != ""])
        if not len(values):
            continue
        rows = place + np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else [place]
        ax.plot(values, rows, "o", color=colour, markersize=4.5, alpha=0.75, markeredgewidth=0, clip_on=False, zorder=3)
        ax.plot([interquartile_mean(values)] * 2, [place - 0.34, place + 0.34], color=colour, linewidth=2.2, zorder=2)
    if panel.asked is not None:
        ax.axvline(panel.asked, color=INK, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
        above: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        ax.text(panel.asked, 1.01, f"aim {panel.asked:g}".replace("-", "−"), fontsize=8, color=INK, **above)
    ax.set_yticks(range(len(lines)), [line.title for line in lines.values()])
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.set(xlabel=panel.title, xlim=panel.limits)
    dress(ax)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color="#e6e6e6", linewidth=0.8)


def over_seeds(curves: Sequence[Curve]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Put curves with different steps on one grid, by linear interpolation.

    The grid ends where the shortest curve does: beyond it the seeds would no longer be the same ones. Before its own
    first point a curve keeps its first value.

    Args:
        curves: Ascending x and their y, for each of n seeds.

    Returns:
        The grid, shape (k,), and the curves on it, shape (n, k).
    """
    end = min(xs[-1] for xs, _ in curves)
    grid = np.unique(np.concatenate([xs for xs, _ in curves]))
    grid = grid[grid <= end]
    return grid, np.stack([np.interp(grid, xs, ys) for xs, ys in curves])


def _curves(rows: Rows, x: str, y: str) -> list[Curve]:
    """Read one curve per seed; the last of several rows with the same x counts, and rows without y are left out."""
    seeds: dict[Any, dict[float, float]] = {}
    for row in rows:
        if row[y] != "" and math.isfinite(float(row[y])):
            seeds.setdefault(row["seed"], {})[float(row[x])] = float(row[y])
    return [(np.array(sorted(curve)), np.array([curve[at] for at in sorted(curve)])) for curve in seeds.values()]


INTERQUARTILE = mean_name(ENOUGH)


def _styles(lines: Mapping[str, Line]) -> list[dict[str, Any]]:
    """Assign colour, dashes and width to each line, in order."""
    muted = cycle({"color": colour, "linestyle": d, "linewidth": 1.4} for colour, d in zip(MUTED, DASHES, strict=True))
    looks = ({"linestyle": d, "color": colour} for d in ("-", LONG_DASHES) for colour in COLOURS + MORE_COLOURS)
    strong = cycle({**look, "linewidth": 2.2} for look in looks)
    return [next(muted if line.control else strong) for line in lines.values()]


def dress(ax: Axes) -> None:
    """Give axes the look that all figures here share."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#b0b0b0")
    ax.tick_params(color="#b0b0b0", labelcolor=INK, labelsize=9)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_axisbelow(True)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_color(INK)


def _caption(rows: Iterable[Mapping[str, Any]], mean: str, rest: str) -> str:
    seeds: dict[Any, set[Any]] = {}
    for row in rows:
        seeds.setdefault(row["setting"], set()).add(row["seed"])
    fewest, most = min(map(len, seeds.values())), max(map(len, seeds.values()))
    if most == 1:
        return "1 seed"  # with nothing to take a mean of, and no band
    count = f"{most} seeds" if fewest == most else f"{fewest} to {most} seeds"
    if INTERQUARTILE in mean:
        mean = mean.replace(INTERQUARTILE, mean_name(most))
        count += f", of fewer than {ENOUGH} the mean" * (fewest < ENOUGH <= most)
    return f"{mean} over {count} · {rest}"


def _legend(figure: Figure, ax: Axes, rows: Rows, *, interval: bool) -> None:
    mean, band = ("mean", "95 % confidence interval") if interval else (INTERQUARTILE, "lowest to highest")
    legend = figure.legend(
        *ax.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9,
        handlelength=3, labelcolor=INK, title=_caption(rows, f"line: {mean}", f"band: {band}"),
    )  # fmt: skip
    legend.get_title().set(**SMALL)


def _line_samples(figure: Figure, ax: Axes, lines: Mapping[str, Line]) -> None:
    """Draw a stretch of each line beside its name, so that the names need no legend of their own."""
    axis = ScaledTranslation(0, 0, ax.transAxes)  # type: ignore[arg-type]  # its stub is too narrow
    beside = blended_transform_factory(figure.dpi_scale_trans + axis, ax.transData)  # inches across, rows down
    for place, style in enumerate(_styles(lines)):
        ax.plot([-0.5, -0.1], [place, place], transform=beside, clip_on=False, **style)
    ax.tick_params(axis="y", pad=42)
