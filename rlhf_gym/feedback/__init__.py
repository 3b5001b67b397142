"""Who answers queries, and where the answers are kept.

Anyone's own teacher or store can be held against the public suites in :mod:`rlhf_gym.feedback.contracts`.
"""

from rlhf_gym.feedback.answers import Counts, GivenAnswer, UnknownQuery
from rlhf_gym.feedback.builtin_goals import GOALS
from rlhf_gym.feedback.goals import Goal, goal_rewards, load_goal
from rlhf_gym.feedback.people import PEOPLE, People, Waiting, pause
from rlhf_gym.feedback.store import PreferenceStore
from rlhf_gym.feedback.teachers import OracleTeacher, RandomTeacher, Teacher

__all__ = [
    "GOALS",
    "Counts",
    "GivenAnswer",
    "Goal",
    "OracleTeacher",
    "PEOPLE",
    "People",
    "PreferenceStore",
    "RandomTeacher",
    "Teacher",
    "UnknownQuery",
    "Waiting",
    "goal_rewards",
    "load_goal",
    "pause",
]
