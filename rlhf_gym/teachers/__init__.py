"""Teachers, and the values by which they answer.

Test a teacher of your own with the public suite in :mod:`rlhf_gym.contracts`.
"""

from rlhf_gym.teachers.goals import Goal, goal_rewards, load_goal
from rlhf_gym.teachers.noisy import NoisyTeacher
from rlhf_gym.teachers.oracle import OracleTeacher
from rlhf_gym.teachers.own_answers import OwnAnswers
from rlhf_gym.teachers.panel import Panel
from rlhf_gym.teachers.people import People, Waiting, pause, saying
from rlhf_gym.teachers.random import RandomTeacher
from rlhf_gym.teachers.self_rewarding import SelfRewardingTeacher
from rlhf_gym.teachers.several import Open, Reply, Several
from rlhf_gym.teachers.showing import Shows
from rlhf_gym.teachers.teacher import Teacher
from rlhf_gym.teachers.values import Values, goal_returns, true_returns

__all__ = [
    "Goal",
    "NoisyTeacher",
    "Open",
    "OracleTeacher",
    "OwnAnswers",
    "Panel",
    "People",
    "RandomTeacher",
    "Reply",
    "SelfRewardingTeacher",
    "Several",
    "Shows",
    "Teacher",
    "Values",
    "Waiting",
    "goal_returns",
    "goal_rewards",
    "load_goal",
    "pause",
    "saying",
    "true_returns",
]
