"""What is lost, or gained, by learning a policy from the answers without a reward model?

Three tasks, of which HalfCheetah is still to be run, on three seeds, with 50, 500 and 5,000 labels of an errorless
teacher, all collected online. Six methods are compared: a reward model and PPO; the same close to a policy that is
cloned from 20 demonstrations of a mediocre one, which the others don't have; contrastive preference learning with and
without its regulariser; direct preference optimisation; and cloning of all steps seen, which the direct methods do
before each fit. On one task there are also answers about regret instead of the return.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.asked import listed
from experiments.harness.settings import Asked, Row, Setting
from experiments.questions.direct.settings import DIRECT, FAMILIES, LABELS, METHODS, REGRET, SETTINGS, TESTING, scale
from experiments.questions.kinds.settings import TASKS
from experiments.questions.label_efficiency.settings import HELD_NOTE

ASKED: Sequence[Asked] = ()


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """Say what part of PPO's gain a reward model reaches, and what part the best direct method does."""
    told = []
    for task, where in TASKS.items():
        parts = {
            (name, labels): part.middle
            for name in METHODS
            for labels in LABELS
            if (part := scale(task).part(f"{task}_{name}_{labels}", runs))
        }
        there = [labels for labels in LABELS if all((name, labels) in parts for name in ("reward", *DIRECT))]
        if there:
            direct = [max(parts[name, labels] for name in DIRECT) for labels in there]
            close = [parts["kl", labels] for labels in there if ("kl", labels) in parts]
            told.append(
                f"{where.title}, with {listed([f'{labels:,}' for labels in there])} labels: "
                f"{_parts([parts['reward', labels] for labels in there])} by a reward model and PPO, "
                + (f"{_parts(close)} close to cloned demonstrations, " if len(close) == len(there) else "")
                + f"{_parts(direct)} by the best direct method."
            )
    if not told:
        return "The runs for the parts of PPO's gain, or its controls, are still missing."
    about = [found for labels in LABELS if (found := _about_regret(labels, runs)) is not None]  # 0 is a part, too
    if len(about) == len(LABELS):
        told.append(
            f"{TASKS[REGRET].title}, with as many answers about regret: {_parts(about)} by the best direct method."
        )
    return f"Part of PPO's gain. {' '.join(told)}"


def _about_regret(labels: int, runs: Mapping[str, Sequence[Row]]) -> float | None:
    """Find the part that the best direct method reaches with answers about regret; None without runs."""
    names = (f"{REGRET}_{name}_regret_{labels}" for name in DIRECT)
    return max((part.middle for name in names if (part := scale(REGRET).part(name, runs))), default=None)


def _parts(values: Sequence[float]) -> str:
    return listed([f"{value:.2f}" for value in values]).replace("-", "−")


HOW_TO_READ = f"""\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment: the true return, or with the
cart the sum of exp(−|x − 1| / 0.5). A part is a share of what PPO, paid the true reward or the goal itself, gains over
the untrained policy. All make the same number of environment steps.

The teacher compares sums of rewards, as everywhere in these results. Contrastive preference learning assumes that
answers are about regret: how much worse the actions were than the best ones. Its paper has 2,500 such answers, about
stored segments of mixed quality. With 50 comparisons others found it below plain cloning (PAWS, arXiv 2606.11982, on
Meta-World: 42.9 % against 46.2 %, and 48.9 % with a reward model). The last table shows what that assumption is worth:
on Pendulum the best actions are known, by value iteration on a grid, so a teacher can compare how much worse the
actions are. There each fit of the direct methods makes five times as many gradient steps as by default, also where the
answers are about the return. [pretrained](../pretrained/README.md) tells more of PPO that stays close to a cloned
policy.

{HELD_NOTE}"""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
