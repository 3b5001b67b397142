"""The figure of a task: true and learned return over the divergence, and signals known without the true reward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.measurements.overoptimisation.curves import Curves, column, distance, ends_of, gold
from experiments.measurements.overoptimisation.stopping import Curve, at_the_best
from experiments.measurements.overoptimisation.tasks import BUDGETS, TASKS, TRUE
from rlhf_gym.plots import COLOURS, INK, MUTED, dress

SHARE, LEARNED = "true return, as a share of the best gain", "learned return, as a share of its own gain"
SIGNALS = {
    "accuracy": ("accuracy on\nthe newest queries", COLOURS[2], 0.5),
    "disagreement": ("disagreement, as a multiple\nof that on labelled steps", COLOURS[3], 1.0),
}
"""By column: the axis label, the colour, and the level of a reference line: chance, and no change."""


def draw(task: str, curves: Curves, path: Path) -> None:
    """Draw a task: a column for each budget, returns above, and below them signals known without the true reward."""
    budgets = [str(budget) for budget in BUDGETS if (task, str(budget)) in curves]
    figure = Figure(figsize=(max(3.3 * len(budgets) + 0.8, 7.4), 8.2), layout="constrained")
    grid = figure.subplots(3, len(budgets), sharex=True, sharey="row", squeeze=False, height_ratios=[1.8, 1, 1])
    for axes, budget in zip(grid.T, budgets, strict=True):
        of = curves[task, budget]
        _draw_returns(axes[0], of, curves.get((task, TRUE)), ends_of(task, curves))
        axes[0].set_title(f"{budget} labels", loc="left", fontsize=10, color=INK)
        for ax, (name, (_, colour, usual)) in zip(axes[1:], SIGNALS.items(), strict=True):
            ax.axhline(usual, color=MUTED[1], linewidth=0.9, linestyle=(0, (2, 2)))
            _path(ax, of, column(of, name), {"color": colour}, [[look[name] for look in curve] for curve in of])
        axes[-1].set_xlabel("√KL from the start, √nats a step")
        for ax in axes:
            dress(ax)
    grid[0, 0].set_ylabel("share of the gain")
    for ax, (label, *_) in zip(grid[1:, 0], SIGNALS.values(), strict=True):
        ax.set_ylabel(label, fontsize=9)
    figure.align_ylabels(grid[:, 0])
    for ax in grid[:, 0]:
        ax.yaxis.label.set_color(INK)
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, labelcolor=INK,
        fontsize=9,
    )  # fmt: skip
    seeds = max(len(curves[task, budget]) for budget in budgets)
    figure.suptitle(
        f"{TASKS[task].title}: a fresh policy on a frozen reward, {seeds} seed{'s' * (seeds > 1)}",
        x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK,
    )  # fmt: skip
    figure.savefig(path, dpi=150)


def _draw_returns(ax: Axes, of: Sequence[Curve], true: Sequence[Curve] | None, ends: tuple[float, float]) -> None:
    zero, one = ends

    def share(returns: Any) -> Any:
        return (np.asarray(returns) - zero) / ((one - zero) or 1.0)

    def own(curve: Curve) -> Any:
        returns = np.array([look["proxy"] for look in curve])
        return (returns - returns[0]) / ((returns.max() - returns[0]) or 1.0)

    ax.axhline(0, color="#e6e6e6", linewidth=0.8)
    if true:
        ax.plot(distance(true), share(gold(true)), color=MUTED[1], linestyle=(0, (5, 2)), linewidth=1.4,
                label="true return of PPO on the true reward")  # fmt: skip
    learned = np.mean([own(curve)[: min(map(len, of))] for curve in of], axis=0)
    _path(ax, of, learned, {"color": COLOURS[1], "label": LEARNED}, [own(curve) for curve in of])
    each = [share([(look["gold"] + look["gold_again"]) / 2 for look in curve]) for curve in of]
    _path(ax, of, share(gold(of)), {"color": COLOURS[0], "label": SHARE}, each)
    best = [at_the_best(curve) for curve in of]
    ax.plot(
        [float(np.sqrt(curve[at]["kl"])) for curve, at in zip(of, best, strict=True)],
        [one[at] for one, at in zip(each, best, strict=True)],
        "o", color=COLOURS[0], markersize=5, markerfacecolor="white", zorder=4, label="where it is best, by seed",
    )  # fmt: skip


def _path(ax: Axes, of: Sequence[Curve], mean: Any, style: Mapping[str, Any], each: Sequence[Any]) -> None:
    """Draw the mean path over seeds, and each seed's own as a thin line."""
    ax.plot(distance(of), mean, linewidth=2.0, zorder=3, **style)
    for curve, ys in zip(of, each, strict=True) if len(of) > 1 else ():
        roots = np.sqrt([look["kl"] for look in curve])
        ax.plot(roots, ys, linewidth=0.7, alpha=0.35, color=style["color"], zorder=2)
