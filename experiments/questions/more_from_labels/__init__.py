"""Do 50 labels say more with crops, pseudo-labels, smoothing, self-supervised features or a bonus?

Crops, pseudo-labels and smoothing (SURF, STAR), self-supervised features (REED) and a bonus for disagreement (RUNE) are
each added to a reward model of networks alone, and then all of them together. There are two tasks, HalfCheetah and the
cart held at x = +1, and three seeds each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.settings import Asked, Row, Setting
from experiments.questions.label_efficiency.settings import HELD_NOTE
from experiments.questions.more_from_labels.settings import FAMILIES, OPTIONS, SETTINGS, TASKS, TESTING, scale

ASKED: Sequence[Asked] = ()


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """Say what part of PPO's gain is reached with each option, task by task, and which are ahead on all of them."""
    told, ahead = [], {title for title, _ in OPTIONS.values()}
    for task, where in TASKS.items():
        found = {title: scale(task).part(f"{task}_{name}", runs) for name, (title, _) in OPTIONS.items()}
        parts = {title: part.middle for title, part in found.items() if part}
        if parts:
            told.append(f"{where.title}: {', '.join(f'{title} {part:.2f}' for title, part in parts.items())}")
        ahead &= {title for title, part in parts.items() if part > parts.get(OPTIONS["plain"][0], part)}
    better = ", ".join(title for title, _ in OPTIONS.values() if title in ahead)
    return f"Part of PPO's gain, {'; '.join(told)}; ahead of networks alone on every task: {better or 'none'}."


HOW_TO_READ = f"""\
Every figure is of the deterministic policy over 20 episodes of the unmodified environment: the true return, or with the
cart the sum of exp(−|x − 1| / 0.5). A part is a share of what PPO, paid the true reward or the goal itself, gains over
the untrained policy. Three seeds show only large differences. `python -m experiments.measurements.more_offline` fits
the same rewards to recorded steps, which takes minutes, and prints how well they order fresh segments.

{HELD_NOTE}"""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
