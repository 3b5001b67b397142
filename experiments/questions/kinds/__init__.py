"""Which kind of feedback teaches most, for a label and for a second of a person's time?

Three tasks, five seeds, 200 seconds of an errorless teacher's time: a comparison takes 4 s, a rating 3, a ranking of 4
12, a switch-off 4, a demonstration or a correction 20. And the cart with 50 labels of each, whatever they take.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.settings import Asked, Row, Setting
from experiments.questions.kinds.settings import FAMILIES, SECONDS, SETTINGS, TASKS, TESTING, TITLES, scale

ASKED: Sequence[Asked] = ()


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """What part of PPO's gain each kind reaches."""
    told = []
    for task, where in TASKS.items():
        found = {title: scale(task).part(f"{task}_{name}", runs) for name, title in TITLES.items()}
        if parts := [f"{part.middle:.2f} by {title}" for title, part in found.items() if part]:
            told.append(f"{where.title}: {', '.join(parts)}")
    return f"Part of PPO's gain after {SECONDS} seconds of a teacher's time. {'; '.join(told)}."


HOW_TO_READ = """\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment: the true return, or the sum
of exp(−|x − 1| / 0.5) with the cart. A part is of what PPO, paid the true reward or the goal itself, gains over the
untrained policy. The teacher errs in nothing; people do, and how much longer or shorter their answers take is theirs to
say: `metrics.csv` of a run with people has their seconds as measured.

Demonstrations and corrections come from a policy that PPO learned from the true reward, or the goal, in
results/kinds/experts; `python -m experiments.questions.kinds.experts` makes them. It is as good as what the others are
measured against, so that it tells more than most people can show."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
