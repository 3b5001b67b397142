"""Can a policy be taught what no environment pays for?

The oracle judges by a goal of its own (`rlhf_gym.teachers.builtin_goals`), about which the environment's reward says
nothing or the opposite. No ending gives these goals away, and no constant reward reaches them. Three seeds each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.asked import Seeds, reached
from experiments.harness.settings import Row, Setting
from experiments.questions.novel_goals.settings import FAMILIES, SEEDS, SETTINGS, TASKS, TESTING

ASKED = tuple(Seeds(task, least=2) for task in TASKS) + tuple(Seeds(f"{task}_random_answers", most=0) for task in TASKS)


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """How many goals were learned, and which not."""
    learned = [task.title for name, task in TASKS.items() if reached(Seeds(name, least=2), settings, runs)]
    short = [task.title for task in TASKS.values() if task.title not in learned]
    by_chance = [row for name in TASKS for row in runs[f"{name}_random_answers"] if settings[name].reached(row)]
    seeds = sum(len(runs[f"{name}_random_answers"]) for name in TASKS)
    return (
        f"{len(learned)} of {len(TASKS)} goals are learned on at least 2 of {len(SEEDS)} seeds ({'; '.join(learned)}), "
        f"{len(short)} are not ({'; '.join(short)}), and random answers reach one on {len(by_chance)} of {seeds} seeds."
    )


HOW_TO_READ = """\
Measures are of the deterministic policy over 20 episodes: whole turns, somersaults or metres per episode, added up from
the velocities that the goal is about; on one leg, by the goal itself.
*PPO on the goal* is paid the goal itself, at every step; *random answers* and a *constant reward* are what is reached
without the answers. The true return in the tables is the environment's own: it says what the goal cost, and nothing of
how far it was reached, so no figure shows it; the goal itself wasn't recorded while learning. The clips show one
episode's beginning of the policy of seed 0; HalfCheetah's backwards one is of a run made again (309 metres), since the
first clip's camera had stayed behind.

**Earlier runs.** Pendulum's are in `earlier_runs.csv`: with 50k steps one seed of three got to spin, with 100k and an
older preset all three, and with today's preset as it is, whose gamma of 0.9 looks ahead for half a second, one
again."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
