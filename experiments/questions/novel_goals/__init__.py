"""Can a policy be taught what no environment pays for?

The oracle judges by a goal of its own (`rlhf_gym.teachers.builtin_goals`), about which the environment's reward says
nothing or the opposite. The way that episodes end doesn't give these goals away, and no constant reward reaches them.
Three seeds each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.asked import Seeds, reached
from experiments.harness.settings import Row, Setting
from experiments.questions.novel_goals.settings import FAMILIES, SEEDS, SETTINGS, TASKS, TESTING

ASKED = tuple(Seeds(task, least=2) for task in TASKS) + tuple(Seeds(f"{task}_random_answers", most=0) for task in TASKS)


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """Say how many goals were learned, and which weren't."""
    learned = [task.title for name, task in TASKS.items() if reached(Seeds(name, least=2), settings, runs)]
    short = [task.title for task in TASKS.values() if task.title not in learned]
    by_chance = [row for name in TASKS for row in runs[f"{name}_random_answers"] if settings[name].reached(row)]
    seeds = sum(len(runs[f"{name}_random_answers"]) for name in TASKS)
    return (
        f"{len(learned)} of {len(TASKS)} goals are learned on at least 2 of {len(SEEDS)} seeds ({'; '.join(learned)}), "
        f"{len(short)} are not ({'; '.join(short)}), and random answers reach one on {len(by_chance)} of {seeds} seeds."
    )


HOW_TO_READ = """\
Measures are of the deterministic policy over 20 episodes: net turns, somersaults or metres per episode, summed from the
velocity that the goal is about; on one leg, from the goal itself. *PPO on the goal* is paid the goal itself at every
step; *random answers* and a *constant reward* show what is reached without the answers. The true return in the tables
is the environment's own. It shows what the goal cost but not how far it was reached, so no figure shows it; the goal
itself wasn't recorded during training. The clips show the beginning of one episode of seed 0's policy. The clip of
HalfCheetah backwards is from a run that was done again (309 metres), because in the first clip the camera had stayed
behind.

**Earlier runs.** Pendulum's are in `earlier_runs.csv`. With 50k steps one seed of three learned to spin; with 100k
steps and an older preset all three did; with today's preset unchanged, whose gamma of 0.9 looks ahead for half a
second, again one did."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
