"""How near do 50 and 100 answers come to the true reward on MuJoCo's tasks?

Christiano et al. 2017's eight tasks in their present versions, 300k environment steps, three seeds. An oracle compares
pairs of segments of 50 steps (10 on Reacher, whose episodes have 50). PPO has the same settings whatever it is paid.
Every task is played as it is: where episodes terminate, termination is an absorbing state that pays nothing. Hopper is
also learned in a fixed horizon, where falling ends nothing, and judged as it is.

Settings were tuned on other seeds, 100 to 103. One was revised after HalfCheetah's first runs on seeds 0 to 2 had
fallen short with 100 labels (0.84 of PPO's return): they had watched 1,024 steps before the first answers, where it is
4,096 now; those runs are in `earlier_runs.csv`.
"""

from experiments.harness.asked import Ratio
from experiments.questions.mujoco.settings import BUDGETS, FAMILIES, SETTINGS, TASKS, TESTING

ASKED = tuple(
    Ratio(
        f"{task}_{labels}",
        f"{task}_ppo_true_reward",
        least=1.0 if (task, labels) == ("half_cheetah", 700) else 0.95,
        floor=f"{task}_untrained_policy" if task == "reacher" else None,  # its returns are negative
    )
    for task in TASKS
    for labels in BUDGETS[task]
)

HOW_TO_READ = """\
Every return is that of the deterministic policy over 20 episodes of the unmodified environment; the curves show the
policy while it learns, which still explores, and so lie lower. *PPO on the true reward* has the same settings and sees
what the others may not. It is no ceiling: the true reward is paid as it is, the learned one with unit size, and its sum
over a segment is what the answers are about, so that a learned reward can be the easier one to learn from. The other
controls show what is reached without the answers. Where episodes terminate (Hopper, Walker2d, Ant and the inverted
pendulums), a constant reward of +1 already teaches to stay alive: read every figure beside that control. Hopper's fixed
horizon takes that away: there the curves are the evidence, for what is learned on the ground ends at once on the
unmodified task. Where returns are negative (Reacher) the ratio is of what was gained over an untrained policy."""

__all__ = ["ASKED", "FAMILIES", "HOW_TO_READ", "SETTINGS", "TESTING"]
