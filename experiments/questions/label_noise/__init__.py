"""How much do mistakes cost, and does a likelihood that knows of them help?

A teacher flips 0, 10, 20 or 30 % of its answers (B-Pref's `eps_mistake`), with 100 labels and five seeds, on two tasks:
the cart held at x = +1, where networks alone learn the reward, and HalfCheetah, where a linear part does most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.settings import Asked, Row, Setting
from experiments.questions.label_efficiency.settings import HELD_NOTE
from experiments.questions.label_noise.settings import (
    FAMILIES,
    MISTAKES,
    SETTINGS,
    TASKS,
    TESTING,
    TITLES,
    name_of,
    scale,
)

ASKED: Sequence[Asked] = ()


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """Say what part of PPO's gain is left at each share of mistakes."""
    told = []
    for task, where in TASKS.items():
        for how in TITLES:
            found = {e: scale(task).part(name_of(task, e, how if e else "unaware"), runs) for e in MISTAKES}
            if parts := [f"{part.middle:.2f} at {e:.0%}" for e, part in found.items() if part]:
                told.append(f"{where.title}, {TITLES[how]}: {', '.join(parts)}")
    return f"Part of PPO's gain by the share of mistakes. {'; '.join(told)}."


HOW_TO_READ = f"""\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment: the true return, or with the
cart the sum of exp(−|x − 1| / 0.5). A part is a share of what PPO, paid the true reward or the goal itself, gains over
the untrained policy. *The likelihood told of it* assumes that a share 2 e of the answers is drawn by a coin
(`reward.label_noise`), where e is the share of mistakes, because a coin flips half of them. *The likelihood as it is*
assumes no mistakes.

{HELD_NOTE}"""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
