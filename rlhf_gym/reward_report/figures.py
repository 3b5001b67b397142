"""The reliability plot: whether answers are as frequent as the model predicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rlhf_gym.errors import BadInput
from rlhf_gym.plots import COLOURS, INK, SMALL, dress
from rlhf_gym.reward_report.assess import ALL, RunJudged
from rlhf_gym.rewards.metrics.calibration import Reliability, reliability_of

BINS = 10


def reliability_figure(run: RunJudged, output: str | Path | None = None) -> Figure:
    """Plot how often left is preferred against the predicted probability, in ten bins of equally many pairs.

    Args:
        run: From :func:`judge_run`.
        output: File to write, its format by its ending (png, svg, pdf); None writes nothing.

    Raises:
        BadInput: If no policy's trajectories make pairs.
    """
    found = _reliabilities(run)
    figure = Figure(figsize=(7.0, 5.2), layout="constrained")
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color="#8c8c8c", linewidth=1.2, linestyle=(0, (4, 3)), zorder=1)
    for (name, one), colour in zip(found.items(), [*COLOURS[: len(found) - 1], INK], strict=True):
        style: dict[str, Any] = {"color": colour, "clip_on": False, "zorder": 3, "linewidth": 1.3, "markersize": 4}
        style |= {"linewidth": 2.4, "markersize": 6} if name == ALL else {}
        ax.plot(one.predicted, one.answered, "o-", label=f"{name}\nECE {one.error:.3f}", **style)
    ax.set(xlabel="predicted probability that left is preferred", ylabel="how often the true reward prefers left")
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    dress(ax)
    ax.grid(color="#e6e6e6", linewidth=0.8)
    figure.legend(loc="outside right center", frameon=False, fontsize=9, labelcolor=INK, labelspacing=0.9)
    figure.suptitle(
        f"{run.config.env_id}, {run.labels} answers", x=0.01, ha="left", fontsize=11, fontweight="bold", color=INK
    )
    pairs = int(next(iter(found.values())).sizes.sum())
    said = f"dot: mean of a tenth of {pairs:,} pairs of fresh segments · dashed: as often as predicted"
    figure.supxlabel(said, **SMALL)
    if output is not None:
        figure.savefig(output, dpi=150)
    return figure


def _reliabilities(run: RunJudged) -> dict[str, Reliability]:
    """Compute the reliability by policy, without policies whose trajectories make no pairs."""
    found, why = {}, ""
    for name, judged in run.judged.items():
        try:
            found[name] = reliability_of(judged, bins=BINS)
        except BadInput as error:
            why = str(error)
    if not found:
        raise BadInput(why)
    return found
