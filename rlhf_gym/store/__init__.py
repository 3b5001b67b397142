"""The preference store, which connects trainer, prompts and pages."""

from rlhf_gym.store.answers import Counts, GivenAnswer, UnknownQuery
from rlhf_gym.store.preference_store import PreferenceStore

__all__ = ["Counts", "GivenAnswer", "PreferenceStore", "UnknownQuery"]
