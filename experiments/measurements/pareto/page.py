"""The figure and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from experiments.harness.made import made_with
from experiments.measurements.pareto.runs import COSTS, GATHERED_AT, LABELS, WEIGHTS
from rlhf_gym.plots import COLOURS, INK, MUTED, dress

Rows = Sequence[Mapping[str, str]]
TITLES = {"learned": "learned from one set of answers", "true": "paid the true reward"}


def draw(rows: Rows, path: Path) -> None:
    """Draw speed against effort: a point for each run, a line through the means by weight."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    ax = figure.subplots()
    for (paid, title), colour in zip(TITLES.items(), (COLOURS[0], MUTED[0]), strict=True):
        mine = [row for row in rows if row["paid"] == paid]
        if not mine:
            continue
        ax.scatter(
            [_number(r, "effort") for r in mine], [_number(r, "speed") for r in mine], s=14, color=colour, alpha=0.5
        )
        points = means(mine)
        efforts, speeds = [point[1] for point in points], [point[2] for point in points]
        ax.plot(efforts, speeds, color=colour, linestyle="-" if paid == "learned" else (0, (5, 2)), label=title)
        for weight, effort, speed in points:
            ax.annotate(
                f"{weight:g}", (effort, speed), xytext=(7, -11), textcoords="offset points", color=colour, fontsize=9,
                path_effects=[withStroke(linewidth=3, foreground="w")],
            )  # fmt: skip
    ax.set(xlabel="effort: mean sum of squared actions", ylabel="speed, m/s")
    ax.set_title("HalfCheetah-v5, fast or gentle; numbers: weight of gentleness", loc="left", color=INK, fontsize=10)
    dress(ax)
    ax.legend(frameon=False, labelcolor=INK)
    figure.savefig(path, dpi=150)


def means(rows: Rows) -> list[tuple[float, float, float]]:
    """Average effort and speed over the seeds of each weight; weights ascending."""
    weights = sorted({float(row["weight"]) for row in rows})
    of = {weight: [row for row in rows if float(row["weight"]) == weight] for weight in weights}
    return [
        (w, mean(_number(r, "effort") for r in mine), mean(_number(r, "speed") for r in mine)) for w, mine in of.items()
    ]


def page(rows: Rows, command: str) -> str:
    """Write the page."""
    lines = [
        "# Fast or gentle: other weights, the same answers\n",
        f"**{answer(rows)}**\n",
        f"One run gathers {LABELS} answers: two principles of a constitution, *fast* and *gentle*, each answer every "
        f"query. A reward model is learned for each principle, and the policy is paid their sum, in which gentleness "
        f"has a weight of {GATHERED_AT:g}. Then new policies are learned, without further queries, with the weights "
        f"{', '.join(f'{w:g}' for w in WEIGHTS)} of gentleness. For comparison, PPO is paid the speed minus a cost of "
        f"effort, {', '.join(f'{c:g}' for c in COSTS)} (the environment's own is 0.1).\n",
        "![speed against effort](front.png)\n",
        "| paid | weight | seeds | effort | speed, m/s |",
        "|---|---|---|---|---|",
    ]
    for paid, title in TITLES.items():
        mine = [row for row in rows if row["paid"] == paid]
        for weight, effort, speed in means(mine):
            of = [_number(row, "speed") for row in mine if float(row["weight"]) == weight]
            spread = f" ({min(of):.2f} to {max(of):.2f})" if len(of) > 1 else ""
            lines.append(f"| {title} | {weight:g} | {len(of)} | {effort:.2f} | {speed:.2f}{spread} |")
    lines += [
        "\nEffort and speed are means over all steps of the deterministic policy in 20 episodes. The weights of the "
        "learned rewards are for two rewards of unit size, those of the true one for metres per second and squared "
        "actions. So compare the lines, and not points with the same number.\n",
        "## How it was made\n",
        f"`{command}`\n",
        *made_with(rows),
    ]
    return "\n".join(lines)


def answer(rows: Rows) -> str:
    """Say which speeds and efforts the weights span, with the learned reward and with the true one."""
    told = []
    for paid, title in TITLES.items():
        if points := means([row for row in rows if row["paid"] == paid]):
            (_, effort, speed), (_, least, slowest) = points[0], points[-1]
            told.append(
                f"{title}: from {speed:.2f} m/s at an effort of {effort:.2f} to {slowest:.2f} m/s at {least:.2f}"
            )
    text = "; ".join(told)
    return f"{text[:1].upper()}{text[1:]}."


def _number(row: Mapping[str, str], column: str) -> float:
    return float(row[column])
