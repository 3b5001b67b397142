"""Does the loop learn Gymnasium's other classic-control tasks, sparse ones included, from few answers?

Every run makes 100k environment steps: with 30 labels on Pendulum and 50 elsewhere on ten seeds, and with 100 labels on
five. On Pendulum the oracle sums the environment's reward. Acrobot and MountainCar pay the same for every step until
the goal is reached, so such an oracle would see only ties until the policy reaches it by luck. There the oracle judges
by a goal that comes with the package (`rlhf_gym.teachers.builtin_goals`): the height of Acrobot's tip, and on
MountainCar the car's energy, with a cost for each step below the top. A person who watches would judge in a similar
way. But such a goal says more than the environment's reward, so *PPO on the oracle's goal* shows what the goal alone is
worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.asked import Ratio, Reaches, listed, mean_return, reached
from experiments.harness.settings import Row, Setting
from experiments.questions.classic_control.settings import AIMS, FAMILIES, FEW, SETTINGS, TASKS, TESTING, scale

ASKED = tuple(Ratio(f"{task}_{FEW[task]}", scale(task), least=0.95) for task in TASKS) + tuple(
    Reaches(f"{task}_100", least=aim) for task, aim in AIMS.items()
)


def answer(settings: Mapping[str, Setting], runs: Mapping[str, Sequence[Row]]) -> str:
    """Say on how many tasks few labels are enough and 100 reach the aim, and on which a constant reward does, too."""

    def reaching(reward: str) -> list[str]:
        return [task for task, aim in AIMS.items() if reached(Reaches(f"{task}_{reward}", least=aim), settings, runs)]

    enough, constant = reaching("100"), reaching("constant")
    short = [
        f"{TASKS[task]} ({mean_return(f'{task}_100', runs):.0f}, aim {aim})"
        for task, aim in AIMS.items()
        if task not in enough
    ]
    few = [task for task in TASKS if reached(Ratio(f"{task}_{FEW[task]}", scale(task), 0.95), settings, runs)]
    return (
        f"{FEW['pendulum']} labels on Pendulum and {FEW['acrobot']} elsewhere reach 0.95 of the best PPO's gain on "
        f"{len(few)} of {len(TASKS)} tasks; 100 labels reach the aim on {len(enough)} of {len(AIMS)} tasks and fall "
        f"short on {listed(short)}; "
        f"on {listed([TASKS[task] for task in enough if task in constant])} a constant reward of −1 reaches it as well."
    )


HOW_TO_READ = """\
Every return is that of the deterministic policy over 20 episodes of the unmodified environment, by its own reward. The
thresholds are −180 on Pendulum (rl-zoo's tuned PPO has −172), and Gymnasium's own on Acrobot (−100), MountainCar (−110)
and MountainCarContinuous (90). Acrobot is learned as it is: its episodes end at the goal, in an absorbing state. The
MountainCars are learned in a fixed horizon of 200 steps, in which a car that has reached the top stays there. *PPO on
the true reward* has the same horizon, in which the true reward pays nothing at the top. A part is a share of what the
best PPO (on the true reward, as it is or scaled, or on the oracle's goal) gains over the untrained policy. Its 95 %
bootstrap interval resamples the seeds of all three. Verdicts, also those on returns, use the lower end of the interval.

**The oracle's fault on MountainCar.** `mountain_car_progress` pays its best, 0, as soon as the car could coast over the
top, wherever it is: a policy that has the energy but takes its time is worth as much as one that arrives. PPO on that
goal itself stayed at −130 (−136 to −122), worse than on the true reward, −114 (−117 to −107), so more answers would not
have helped. `mountain_car_top`, by which the oracle judges here, takes half a point for every step below the top: only
the top pays 0. The old oracle's runs are in `earlier_runs.csv`.

**What the constant −1 shows.** On Acrobot it teaches to end soon, which is all that the task asks for. On
MountainCarContinuous nothing ends and every policy is paid the same, and yet it solves the task. The likely reason is
PPO's critic: it begins at 0 and learns that the states it has seen are worth less, so unseen states look better and PPO
goes there. So on these two tasks labels do no harm, but only Pendulum and MountainCar can show that something was
learned from them.

**Earlier runs.** Pendulum's runs with an older preset, three times slower, are in `earlier_runs.csv`, too: 100 labels
reached −173 there (−216 to −137). PPO was better with that preset: on the true reward it reached −205 (−244 to −184),
and with today's −253 on the same five seeds.

**A quadratic part, as on MuJoCo,** was tried on Pendulum. On seeds 100 to 103, 30 labels reached −199 with it and
−213 without (means). But on seeds 0 to 4, 100 labels reached −193 (−698 to −175) with it, where networks alone had
reached −157 by older code (−174 today), and on seeds 0 to 9, 30 labels reached −199 (−406 to −131). Those runs are in
`quadratic_runs.csv`, and Pendulum keeps networks alone. The MountainCars have had it since: on seeds 100 to 103, 50
labels reached −112 with it and −120 with networks alone."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING", "answer"]
