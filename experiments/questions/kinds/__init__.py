"""Which kind of feedback teaches most, per label and per second of a person's time?

Three tasks on five seeds, with 200 seconds of an errorless teacher's time: a comparison takes 4 s, a rating 3 s, a
ranking of 4 segments 12 s, a switch-off 4 s, a demonstration or a correction 20 s. On the held cart there are also 50
labels of each kind, whatever time they take. HalfCheetah's runs have 100k steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.settings import Asked, Row, Setting
from experiments.questions.kinds.settings import FAMILIES, SECONDS, SETTINGS, TASKS, TESTING, TITLES, scale
from experiments.questions.label_efficiency.settings import HELD_NOTE

ASKED: Sequence[Asked] = ()


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """Say what part of PPO's gain each kind reaches."""
    told = []
    for task, where in TASKS.items():
        found = {title: scale(task).part(f"{task}_{name}", runs) for name, title in TITLES.items()}
        if parts := [f"{part.middle:.2f} by {title}" for title, part in found.items() if part]:
            told.append(f"{where.title}: {', '.join(parts)}")
    return f"Part of PPO's gain after {SECONDS} seconds of a teacher's time. {'; '.join(told)}."


HOW_TO_READ = f"""\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment: the true return, or with the
cart the sum of exp(−|x − 1| / 0.5). A part is a share of what PPO, paid the true reward or the goal itself, gains over
the untrained policy. The teacher makes no mistakes. People do, and their answers may take more or less time than
assumed here: `metrics.csv` of a run with people has the seconds measured.

Demonstrations and corrections come from a policy that PPO learned from the true reward, or the goal. It is in
results/kinds/experts, and `python -m experiments.questions.kinds.experts` makes it. It is as good as the PPO that the
others are measured against, so it shows more than most people could.

{HELD_NOTE}"""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
