"""Choice of queries, and schedules of labels over rounds."""

from rlhf_gym.queries.candidates import Candidates, StepScores, probabilities_of, returns_of
from rlhf_gym.queries.choosing import choose_queries
from rlhf_gym.queries.insertion import Insertion
from rlhf_gym.queries.planned import (
    due,
    is_heldout,
    make_checks,
    make_heldout,
    make_planned,
    make_repeats,
    mix,
    runs_into_termination,
)
from rlhf_gym.queries.sampling import AskedBefore, count_queries, sample_candidates
from rlhf_gym.queries.schedules import Part, Schedule, apportion, begins, christiano, constant, front_loaded, plan
from rlhf_gym.queries.schemes.scheme import Scheme, best, by_value

__all__ = [
    "AskedBefore",
    "Candidates",
    "Insertion",
    "Part",
    "Schedule",
    "Scheme",
    "StepScores",
    "apportion",
    "begins",
    "best",
    "by_value",
    "choose_queries",
    "christiano",
    "constant",
    "count_queries",
    "due",
    "front_loaded",
    "is_heldout",
    "make_checks",
    "make_heldout",
    "make_planned",
    "make_repeats",
    "mix",
    "plan",
    "probabilities_of",
    "returns_of",
    "runs_into_termination",
    "sample_candidates",
]
