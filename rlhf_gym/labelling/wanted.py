"""The type of answer that a query of each kind asks for."""

from __future__ import annotations

from collections.abc import Sequence

from rlhf_gym.kinds import REGISTERED, find_kind
from rlhf_gym.preferences import Query, Said

SHOWS = tuple(name for name in REGISTERED if not find_kind(name).made)
"""Kinds of query that a terminal and a notebook can show: all but those whose answer has to be played."""


def wanted(query: Query) -> Said:
    """Return an example answer to a query, which shows the type wanted and its number of levels or parts.

    Raises:
        BadInput: If the answer is a segment that the teacher makes.
    """
    kind = find_kind(query.kind)
    return kind.said([0.0] * len(kind.weighed(query)))


def level_names(words: Sequence[str]) -> list[str]:
    """Prefix the word for each level with its number; if words are only numbers, mark the worst and the best.

    Args:
        words: As :meth:`rlhf_gym.labelling.Desk.levels_of` lists them, the worst first.

    Returns:
        Such as "1 bad", "2 fair", "3 good", or "1 worst", "2", "3 best".
    """
    numbers = [str(level) for level in range(1, len(words) + 1)]
    if list(words) == numbers:
        words = ["worst", *[""] * (len(numbers) - 2), "best"]
    return [f"{number} {word}".rstrip() for number, word in zip(numbers, words, strict=True)]
