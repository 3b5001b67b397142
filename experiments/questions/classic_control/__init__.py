"""Does the loop learn Gymnasium's other classic-control tasks from 100 answers, sparse ones included?

100k environment steps, five seeds. On Pendulum the oracle sums the environment's reward. Acrobot and MountainCar pay
the same for every step until the goal is reached, so that such an oracle would see nothing but ties until luck reaches
it: there the oracle judges progress by a goal that comes with the package (`rlhf_gym.teachers.builtin_goals`): the
height of Acrobot's tip, the energy of the car. A teacher who watches would judge alike; but it is more than the
environment says, and *PPO on the oracle's goal* is what that alone is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.asked import Reaches, listed, mean_return, reached
from experiments.harness.settings import Row, Setting
from experiments.questions.classic_control.settings import AIMS, FAMILIES, SETTINGS, TASKS, TESTING

ASKED = tuple(Reaches(f"{task}_100", least=aim) for task, aim in AIMS.items())


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """On which tasks 100 labels reach the aim, and on which a constant reward does too."""

    def reaching(reward: str) -> list[str]:
        return [task for task, aim in AIMS.items() if reached(Reaches(f"{task}_{reward}", least=aim), settings, runs)]

    enough, constant = reaching("100"), reaching("constant")
    short = [
        f"{TASKS[task]} ({mean_return(f'{task}_100', runs):.0f}, aim {aim})"
        for task, aim in AIMS.items()
        if task not in enough
    ]
    return (
        f"100 labels reach the aim on {len(enough)} of {len(AIMS)} tasks and fall short on {listed(short)}; "
        f"on {listed([TASKS[task] for task in enough if task in constant])} a constant reward of −1 reaches it as well."
    )


HOW_TO_READ = """\
Every return is that of the deterministic policy over 20 episodes of the unmodified environment, by its own reward.
Thresholds are −180 on Pendulum (rl-zoo's tuned PPO has −172), and Gymnasium's own on Acrobot (−100), MountainCar (−110)
and MountainCarContinuous (90). Acrobot's episodes are as they are, under the absorbing rule, and end at the goal. The
MountainCars learn in a fixed horizon of 200 steps, in which the car that got to the top stays there. *PPO on the true
reward* has the same horizon, in which the true reward pays nothing at the top.

**What the constant −1 says.** On Acrobot it teaches to end soon, which is all the task asks for: its figure is as
good as that of 100 labels. On MountainCarContinuous nothing ends, every policy is paid the same, and yet it solves
the task on every seed: most likely PPO's critic, which begins at 0, learns that what it has seen is worth less, so
that what it hasn't seen looks better, and PPO goes there. The untrained policy and random answers get nowhere on
both. So on these two tasks 100 labels do no harm and reach the aim, but only Pendulum and MountainCar, where a
constant −1 falls short of what 100 labels reach, show that something was learned from them.

**Earlier runs.** Pendulum's with an older, three times slower preset are in `earlier_runs.csv`: 100 labels reached −173
there (−216 to −137)."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
