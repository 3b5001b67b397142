"""Can a policy be taught what no environment pays for?

The oracle judges by a goal of its own (`rlhf_gym.teachers.builtin_goals`), about which the environment's reward says
nothing or the opposite. No ending gives these goals away, and no constant reward reaches them. Three seeds each.
Pendulum's earlier runs are in `earlier_runs.csv`: with 50k steps one seed of three got to spin, with 100k and an older
preset all three, and with today's preset as it is, whose gamma of 0.9 looks ahead for half a second, one again.
"""

from experiments.harness.asked import Seeds
from experiments.questions.novel_goals.settings import FAMILIES, SETTINGS, TASKS, TESTING

ASKED = tuple(Seeds(task, least=2) for task in TASKS) + tuple(Seeds(f"{task}_random_answers", most=0) for task in TASKS)

HOW_TO_READ = """\
Measures are of the deterministic policy over 20 episodes: whole turns, somersaults or metres per episode, added up from
the velocities that the goal is about; on one leg, by the goal itself.
*PPO on the goal* is paid the goal itself, at every step; *random answers* and a *constant reward* are what is reached
without the answers. The true return is the environment's own and says what the goal cost it. The clips show one
episode's beginning of the policy of seed 0; HalfCheetah's backwards one is of a run made again (309 metres), since the
first clip's camera had stayed behind."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING"]
