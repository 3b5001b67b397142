"""Choice of queries, and how many are asked per round."""

from rlhf_gym.queries.candidates import Candidates, StepScores, count_queries, probabilities_of, sample_candidates
from rlhf_gym.queries.choosing import choose_queries
from rlhf_gym.queries.planned import make_checks, make_planned, make_repeats, mix
from rlhf_gym.queries.schedules import Part, Schedule, apportion, christiano, constant, plan
from rlhf_gym.queries.schemes.scheme import Scheme, best, by_value

__all__ = [
    "Candidates",
    "Part",
    "Schedule",
    "Scheme",
    "StepScores",
    "apportion",
    "best",
    "by_value",
    "choose_queries",
    "christiano",
    "constant",
    "count_queries",
    "make_checks",
    "make_planned",
    "make_repeats",
    "mix",
    "plan",
    "probabilities_of",
    "sample_candidates",
]
