"""The page of over-optimisation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from experiments.harness.made import made_with
from experiments.measurements.overoptimisation.curves import Curves, Rows
from experiments.measurements.overoptimisation.runs import EPISODES
from experiments.measurements.overoptimisation.stopping import RULES, at_the_best, kept
from experiments.measurements.overoptimisation.tasks import GATHERING_ROUNDS, LOOKS, TASKS, TRUE

ABOUT = """\
A teacher without errors answers about segments of early policies, the reward model is frozen, and a fresh PPO is
trained on it for a long time, at a constant learning rate. The figure shows what it earns by the true reward (or the
goal) and by the learned one, against the square root of its divergence from the policy it began with, as Gao, Schulman
& Hilton 2022 (arXiv 2210.10760) do for language models. The divergence is exact, on the policy's own steps.
"""
WHERE_TO_STOP = """\
## Where to stop

The policy is evaluated at several looks during training. The table shows the true return at the start and where the run
is best, and the share of this gain that is kept by going back to the look that a rule chooses. The best look is chosen
on one half of the episodes, and all looks are measured on the other half. A rule is useful if it keeps more than the
end does, on every task.
"""
SIGNALS = """\
Disagreement is the members' standard deviation over the newest steps, as a multiple of that over the labelled steps.
Accuracy is the share of 100 queries, drawn uniformly from the newest episodes, that the reward model answers as the
teacher does; chance is 0.5. These queries would cost as many labels at every look, and a rule on accuracy applies only
where the learned return is as high as ever. The lowest member is the one with the lowest learned return, each member
scaled and shifted as it is paid.
"""
TITLES = {name: title for name, (title, _) in RULES.items() if name != "best"}


def page(runs: Rows, curves: Curves, command: str) -> str:
    """Write the page."""
    return "\n".join(_lines(runs, curves, command))


def _lines(runs: Rows, curves: Curves, command: str) -> Iterator[str]:
    tasks = [task for task in TASKS if any(name == task for name, _ in curves)]
    shares = kept_by_rule(curves)
    yield "# Over-optimisation: how far to optimise a learned reward\n"
    yield f"{verdict(shares)}\n"
    yield ABOUT
    for task in tasks:
        yield f"![{TASKS[task].title}]({task}.png)\n"
    yield WHERE_TO_STOP
    yield f"| task | labels | seeds | start | best | {' | '.join(TITLES.values())} |"
    yield "|---" * (5 + len(TITLES)) + "|"
    for task, labels in sorted(shares, key=lambda key: (tasks.index(key[0]), int(key[1]))):
        of = curves[task, labels]
        start = np.mean([curve[0]["gold_again"] for curve in of])
        best = np.mean([curve[at_the_best(curve)]["gold_again"] for curve in of])
        cells = [f"{start:.1f}", f"{best:.1f}", *(f"{share:.2f}" for share in shares[task, labels].values())]
        yield f"| {TASKS[task].title} | {labels} | {len(of)} | {' | '.join(cells).replace('-', '−')} |"
    yield ""
    yield SIGNALS
    yield "## How it was made\n"
    yield (
        f"Answers are gathered in {GATHERING_ROUNDS} rounds within "
        f"{', '.join(f'{TASKS[task].gathering:,} steps ({TASKS[task].title})' for task in tasks)}, the warm-up "
        f"included. After a look at the start there are {LOOKS} more; each plays {EPISODES} episodes of the policy as "
        "it explores.\n"
    )
    yield f"`{command}`\n"
    yield from made_with(runs)


def kept_by_rule(curves: Curves) -> dict[tuple[str, str], dict[str, float]]:
    """Compute the share of the gain that each rule keeps, by task and budget; not where PPO is paid the true reward."""
    return {key: {name: kept(of, RULES[name][1]) for name in TITLES} for key, of in curves.items() if key[1] != TRUE}


def verdict(shares: Mapping[tuple[str, str], Mapping[str, float]]) -> str:
    """Say which rule keeps most in its worst case, beside going on to the end; cases without a gain are left out."""
    cases = {key: case for key, case in shares.items() if math.isfinite(case["end"])}
    if not cases:
        return "**Nothing was gained, so there is nothing to keep.**"
    worst = {name: min(case[name] for case in cases.values()) for name in TITLES}
    best = max(worst, key=lambda name: worst[name])  # the end, if nothing is better
    tasks = len({task for task, _ in cases})
    where = f"In the worst of {len(cases)} case{'s' * (len(cases) > 1)}, on {tasks} task{'s' * (tasks > 1)}"
    if best == "end":
        return f"**{where}, training to the end keeps {worst['end']:.2f} of the gain; no rule does better.**"
    return (
        f"**{where}, training to the end keeps {worst['end']:.2f} of the gain. Of {len(TITLES) - 1} rules, "
        f"*{TITLES[best]}* has the best worst case, {worst[best]:.2f}; it is chosen on the same runs, so it is also "
        "the luckiest.**"
    )
