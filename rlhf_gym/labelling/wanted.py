"""Which sort of answer a query wants, told by its kind."""

from __future__ import annotations

from collections.abc import Sequence

from rlhf_gym.kinds import REGISTERED, find_kind
from rlhf_gym.preferences import Query, Said

SHOWS = tuple(name for name in REGISTERED if not find_kind(name).made)
"""Kinds of query that a terminal and a notebook can show: all but those whose answer has to be played."""


def wanted(query: Query) -> Said:
    """Give some answer to a query, which shows what is wanted: its type, and of how many levels or parts it is one.

    Raises:
        BadInput: If a segment is wanted that the teacher makes.
    """
    kind = find_kind(query.kind)
    return kind.said([0.0] * len(kind.weighed(query)))


def level_names(words: Sequence[str]) -> list[str]:
    """Put its number before the word for each level; where words are numbers only, say which end is which.

    Args:
        words: As :meth:`rlhf_gym.labelling.Desk.levels_of` lists them, the worst first.

    Returns:
        Such as "1 bad", "2 fair", "3 good", or "1 worst", "2", "3 best".
    """
    numbers = [str(level) for level in range(1, len(words) + 1)]
    if list(words) == numbers:
        words = ["worst", *[""] * (len(numbers) - 2), "best"]
    return [f"{number} {word}".rstrip() for number, word in zip(numbers, words, strict=True)]
