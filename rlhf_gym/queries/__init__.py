"""Which pairs are worth asking about, and how many per round."""

from rlhf_gym.queries.repeats import make_checks, make_planned, make_repeats, mix
from rlhf_gym.queries.schedules import SCHEDULES, apportion, christiano, constant
from rlhf_gym.queries.selection import SELECTORS, choose_queries, disagreement, sample_queries, uniform

__all__ = [
    "SCHEDULES",
    "SELECTORS",
    "apportion",
    "choose_queries",
    "christiano",
    "constant",
    "disagreement",
    "make_checks",
    "make_planned",
    "make_repeats",
    "mix",
    "sample_queries",
    "uniform",
]
