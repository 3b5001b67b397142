"""The preference store, which connects trainer, prompts and pages."""

from rlhf_gym.store.answers import Counts, GivenAnswer, Taken, UnknownQuery
from rlhf_gym.store.patience import Unusable
from rlhf_gym.store.preference_store import PreferenceStore

__all__ = ["Counts", "GivenAnswer", "PreferenceStore", "Taken", "UnknownQuery", "Unusable"]
