"""With 50 labels, do demonstrations of a mediocre policy help as a start, and does staying close to it?

Two tasks on three seeds. A policy is cloned from 20 demonstrations of 50 steps. It is used alone; as a start; and as a
start and a reference, at a fixed price per nat or at one that is adapted to a target. HalfCheetah's runs have 100k
steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.settings import Asked, Row, Setting
from experiments.questions.label_efficiency.settings import HELD_NOTE
from experiments.questions.pretrained.settings import FAMILIES, LABELS, SETTINGS, TASKS, TESTING, VARIANTS, scale

ASKED: Sequence[Asked] = ()


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """Say what part of PPO's gain each variant reaches."""
    told = []
    for task, where in TASKS.items():
        found = {title: scale(task).part(f"{task}_{name}", runs) for name, (title, _) in VARIANTS.items()}
        if parts := [f"{part.middle:.2f} by {title}" for title, part in found.items() if part]:
            told.append(f"{where.title}: {', '.join(parts)}")
    return f"Part of PPO's gain with {LABELS} labels. {'; '.join(told)}."


HOW_TO_READ = f"""\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment: the true return, or with the
cart the sum of exp(−|x − 1| / 0.5). A part is a share of what PPO, paid the true reward or the goal itself, gains over
the untrained policy.

The demonstrations are 20 windows of 50 steps. They come from a policy that PPO learned from the true reward, or the
goal, in a part of the steps, with a seed that no row has; `python -m experiments.questions.pretrained.demonstrations`
makes them. They cost 20 × 20 s of a person's time, in addition to the 50 comparisons.

{HELD_NOTE}"""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
