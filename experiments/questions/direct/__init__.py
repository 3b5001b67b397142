"""What is lost, or gained, by learning a policy from the answers without a reward model?

Three tasks, three seeds, 50, 500 and 5,000 labels of an errorless teacher, all on line: a reward model and PPO,
contrastive preference learning with and without its regulariser, direct preference optimisation, and cloning of all
that was seen, as the direct methods do before each fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.settings import Asked, Row, Setting
from experiments.questions.direct.settings import FAMILIES, LABELS, METHODS, SETTINGS, TESTING, scale
from experiments.questions.kinds.settings import TASKS

ASKED: Sequence[Asked] = ()


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """Tell what part of PPO's gain each method reaches."""
    told = []
    for task, where in TASKS.items():
        for name, (title, _) in METHODS.items():
            found = {labels: scale(task).part(f"{task}_{name}_{labels}", runs) for labels in LABELS}
            if parts := [f"{part.middle:.2f} ({labels})" for labels, part in found.items() if part]:
                told.append(f"{where.title}, {title}: {', '.join(parts)}")
    if not told:
        return "The runs for the parts of PPO's gain, or its controls, are still missing."
    return f"Part of PPO's gain, with labels in brackets. {'; '.join(told)}."


HOW_TO_READ = """\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment: the true return, or the sum
of exp(−|x − 1| / 0.5) with the cart. A part is of what PPO, paid the true reward or the goal itself, gains over the
untrained policy; all make the same number of environment steps.

The teacher compares sums of rewards, as everywhere here. Contrastive preference learning takes answers to be about
regret: how much worse the actions were than the best ones. Its paper has such answers, about stored segments of mixed
quality, and 2,500 of them; with 50 comparisons others found it below plain cloning (PAWS, arXiv 2606.11982, on
Meta-World: 42.9 % against 46.2 %, and 48.9 % with a reward model). PPO that stays close to a cloned policy is a
question of its own, `pretrained`."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
