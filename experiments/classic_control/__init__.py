"""Does the loop learn Gymnasium's other classic-control tasks from 100 answers, sparse ones included?

100k environment steps, five seeds. On Pendulum the oracle sums the environment's reward. Acrobot and MountainCar pay
the same for every step until the goal is reached, so that such an oracle would see nothing but ties until luck reaches
it: there the oracle judges progress by a goal that comes with the package (`rlhf_gym.feedback.builtin_goals`): the
height of Acrobot's tip, the energy of the car. A teacher who watches would judge alike; but it is more than the
environment says, and *PPO on the oracle's goal* is what that alone is worth.
"""

from experiments.asked import Reaches
from experiments.classic_control.settings import AIMS, FAMILIES, SETTINGS, TESTING

ASKED = tuple(Reaches(f"{task}_100", least=aim) for task, aim in AIMS.items())

HOW_TO_READ = """\
Every return is that of the deterministic policy over 20 episodes of the unmodified environment, by its own reward.
Thresholds are −180 on Pendulum (rl-zoo's tuned PPO has −172), and Gymnasium's own on Acrobot (−100), MountainCar (−110)
and MountainCarContinuous (90). Acrobot's episodes are as they are, under the absorbing rule, and end at the goal: a
constant reward of −1 already teaches to end soon, so read its figure beside that control. The MountainCars learn in a
fixed horizon of 200 steps, in which the car that got to the top stays there: nothing terminates, and a constant reward
teaches nothing. *PPO on the true reward* has the same horizon, in which the true reward pays nothing at the top."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING"]
