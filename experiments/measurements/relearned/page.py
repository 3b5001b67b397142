"""The page, and its figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from numpy import clip

from experiments.harness.confirmed import read_confirmed, run_again
from experiments.harness.made import made_with
from experiments.harness.older import listed_older, warning
from experiments.harness.settings import Row
from experiments.measurements.relearned.parts import METRICS, Learned, learned
from experiments.measurements.relearned.runs import FRESH, JUDGED_ON
from rlhf_gym.plots import COLOURS, INK, MORE_COLOURS, SMALL, dress
from rlhf_gym.stats import interquartile_mean

SHOWN = ("gap_accuracy", "calibration_error", "correlation", "segment_spearman", "epic", "dard")
WHO = ("own", "relearned")
LOWEST, HIGHEST = -0.5, 1.75  # parts beyond are drawn at the edge

ABOUT = f"""\
A reward and the policy that it teaches grow up together: the answers are about what that policy did, so the reward
needs to be right only there. A fresh policy that learns from the frozen reward goes elsewhere at first (McKinney et al.
2023, arXiv 2301.03652). Here each run has the settings and the seed of its question's. Then its reward is judged on
fresh trajectories, as by `rlhf-gym evaluate DIR --reward`, and a policy with another seed ({FRESH} more) learns from it
for as many steps, as by `rlhf-gym relearn DIR`.
"""
HOW_TO_READ = f"""\
A part is a share of what the best PPO on the true reward, or on the goal, gains over an untrained policy, in the runs
of the same question. Both policies are deterministic and play the same episodes of the unmodified environment: as many
as in the question, but other ones, except with the held cart. Parts are interquartile means over the rewards, or means
of fewer than 4, with lowest and highest. *Learned more* counts the fresh policies that earn more of the learned reward
than the run's own. If such a policy has a lower true return, it has found what the reward is wrong about; a policy that
earns less has failed to learn. The other figures are means over the rewards, each on trajectories of
{JUDGED_ON["all"]}. The page [foretells](../foretells/README.md) says which of them foretells what a fresh policy
learns.
"""


def write(rows: Sequence[Row], results_dir: Path) -> None:
    """Write the page and the figure."""
    folder, found = results_dir / "relearned", list(learned(rows, results_dir))
    draw(found).savefig(folder / "relearned.png", dpi=150)
    text = "\n".join(_lines(rows, by_task(found), read_confirmed(folder), listed_older(results_dir)))
    (folder / "README.md").write_text(text, encoding="utf-8")


def by_task(found: Sequence[Learned]) -> dict[str, list[Learned]]:
    """Group the rewards by task, in order of first appearance."""
    return {task: [one for one in found if one.task == task] for task in dict.fromkeys(one.task for one in found)}


def answer(tasks: Mapping[str, Sequence[Learned]]) -> str:
    """Say what fresh policies and the runs' own reach in the mean over tasks, and where they differ most."""
    means = {task: [interquartile_mean([getattr(one, who) for one in of]) for who in WHO] for task, of in tasks.items()}
    own, fresh = (sum(each[n] for each in means.values()) / len(means) for n in range(2))
    ends = (pick(means, key=lambda task: means[task][1] - means[task][0]) for pick in (min, max))
    worst, best = (f"{task}, with {_number(means[task][1])} beside {_number(means[task][0])}" for task in ends)
    return (
        f"On {len(tasks)} tasks policies that learn from a run's frozen reward reach {_number(fresh)} of the best "
        f"PPO's gain in the mean, the runs' own {_number(own)}; they fall furthest behind on {worst}, and are furthest "
        f"ahead on {best}."
    )


def _lines(
    rows: Sequence[Row],
    tasks: Mapping[str, Sequence[Learned]],
    confirmed: Sequence[Row],
    older: Mapping[str, str],
) -> Iterator[str]:
    yield "<!-- Made by `python -m experiments.measurements.relearned`; what is changed here by hand is lost. -->"
    yield "# What does a fresh policy learn from a frozen learned reward?\n"
    yield f"**{answer(tasks)}**\n"
    yield ABOUT
    yield "```\npython -m experiments.measurements.relearned\n```\n"
    yield from warning("relearned", older)
    yield "![Fresh policies beside the runs' own, a dot for each reward](relearned.png)\n"
    titles = " | ".join(METRICS[name] for name in SHOWN)
    yield f"| task | labels | rewards | the run's own | relearned | learned more | {titles} |"
    yield "|---" * (6 + len(SHOWN)) + "|"
    for task, of in tasks.items():
        parts = [_spread([getattr(one, who) for one in of]) for who in WHO]
        more = sum(float(one.row["relearned_learned_return"]) > float(one.row["own_learned_return"]) for one in of)
        cells = [of[0].row["labels"], str(len(of)), *parts, f"{more} of {len(of)}", *_figures(of)]
        yield f"| {task} | {' | '.join(cells)} |"
    yield f"\n## How to read it\n\n{HOW_TO_READ}"
    of_setting = {
        name: [row for row in rows if row["setting"] == name] for name in dict.fromkeys(r["setting"] for r in rows)
    }
    again = " ".join(run_again(of_setting, confirmed))
    yield f"## Made with\n\n`runs.csv` has the command of every row.{f' {again}' * bool(again)}\n"
    yield from made_with(rows)


def _figures(of: Sequence[Learned]) -> Iterator[str]:
    for metric in SHOWN:
        told = [float(value) for one in of if (value := one.row[f"all_{metric}"])]
        yield _number(sum(told) / len(told)) if told else "–"


def _spread(values: Sequence[float]) -> str:
    return f"{_number(interquartile_mean(values))} ({_number(min(values))} to {_number(max(values))})"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def draw(found: Sequence[Learned]) -> Figure:
    """Draw a dot for each reward: its own run's policy on the x-axis, the fresh one on the y-axis."""
    figure = Figure(figsize=(8.6, 4.8), layout="constrained")
    ax = figure.subplots()
    parts = clip([getattr(one, who) for one in found for who in WHO], LOWEST, HIGHEST)
    ends = (min(0.0, *parts) - 0.05, max(1.0, *parts) + 0.05)
    ax.plot(ends, ends, color="#8c8c8c", linewidth=1.1, linestyle=(0, (4, 3)), zorder=1)
    for edge in (0, 1):
        ax.axhline(edge, color="#e6e6e6", linewidth=0.8, zorder=0)
        ax.axvline(edge, color="#e6e6e6", linewidth=0.8, zorder=0)
    for (task, of), colour in zip(by_task(found).items(), COLOURS + MORE_COLOURS, strict=False):
        own, fresh = (clip([getattr(one, who) for one in of], LOWEST, HIGHEST) for who in WHO)
        ax.plot(own, fresh, "o", color=colour, markersize=6, alpha=0.85, markeredgewidth=0, clip_on=False, label=task)
    ax.set(xlim=ends, ylim=ends, aspect="equal")
    ax.set_xlabel("the run's own policy", color=INK)
    ax.set_ylabel("a fresh policy, on the same reward frozen", color=INK)
    dress(ax)
    figure.legend(loc="outside right center", frameon=False, fontsize=9, labelcolor=INK, labelspacing=0.8)
    said = "parts of what the best PPO gains on the true reward, or on the goal · dashed: as much as the run's own"
    figure.supxlabel(said, **SMALL)
    return figure
