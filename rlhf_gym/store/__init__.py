"""Where queries and answers are kept: trainer, prompts and pages meet here and nowhere else."""

from rlhf_gym.store.answers import Counts, GivenAnswer, UnknownQuery
from rlhf_gym.store.preference_store import PreferenceStore

__all__ = ["Counts", "GivenAnswer", "PreferenceStore", "UnknownQuery"]
