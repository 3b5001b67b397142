"""Comparison: which of two segments is better (Christiano et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds.kind import Kind
from rlhf_gym.preferences import Answer, Choice, Preference, Said


def parse(text: str, options: int) -> Answer:
    """Read "left", "right", "tie" or "skip"."""
    return _known(text)


def text(answer: Said) -> str:
    """Write what :func:`parse` reads."""
    return _known(answer).value


def answer(worth: Sequence[float]) -> Answer:
    """Prefer the larger; equal ones are a TIE."""
    left, right = worth
    if left == right:
        return Answer.TIE
    return Answer.LEFT if left > right else Answer.RIGHT


def choices(preference: Preference, before: Sequence[Preference] = ()) -> list[Choice]:
    """Make one choice between two segments; a tie has target 0.5 for each."""
    left = Answer(preference.answer).target
    query = preference.query
    return [Choice(query.options, (left, 1 - left), group=query.original, sided=True)]


COMPARISON = Kind(range(2, 3), parse, text, answer, choices)


def _known(answer: object) -> Answer:
    try:
        return Answer(answer)
    except ValueError as error:
        raise BadInput(f"{answer!r} is none; use {', '.join(one.value for one in Answer)}") from error
