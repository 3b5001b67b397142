"""Kinds of feedback: what a query shows, how it is answered, and what an answer tells the likelihood."""

from __future__ import annotations

from collections.abc import Iterable

from rlhf_gym.kinds.comparison import COMPARISON
from rlhf_gym.kinds.kind import Kind
from rlhf_gym.preferences import Answer, Choice, Preference

KINDS = {"comparison": COMPARISON}


def choices(preferences: Iterable[Preference]) -> list[Choice]:
    """Turn answers into what the fit sees; skipped queries tell nothing."""
    return [
        choice
        for preference in preferences
        if preference.answer is not Answer.SKIP
        for choice in KINDS[preference.query.kind].choices(preference)
    ]


__all__ = ["KINDS", "Kind", "choices"]
