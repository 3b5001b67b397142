"""The preference store, which connects trainer, prompts and pages."""

from rlhf_gym.store.answers import Counts, GivenAnswer, Taken, UnknownQuery
from rlhf_gym.store.patience import Unusable
from rlhf_gym.store.preference_store import PreferenceStore
from rlhf_gym.store.runs import FIRST, StoredRun, UnknownRun

__all__ = [
    "FIRST",
    "Counts",
    "GivenAnswer",
    "PreferenceStore",
    "StoredRun",
    "Taken",
    "UnknownQuery",
    "UnknownRun",
    "Unusable",
]
