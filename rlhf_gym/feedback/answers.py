"""What the store says about answers, and which of them stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, exists

from rlhf_gym.feedback.schema import ANSWERS, DROPPED, QUERIES
from rlhf_gym.segments import Answer


class Counts(NamedTuple):
    """How far the asking has come. `asked` and `dropped` count queries; the others count answers that stand."""

    asked: int
    labels: int
    """LEFT, RIGHT and TIE."""
    ties: int
    skips: int
    dropped: int
    """Withdrawn before anybody's answer stood; `asked` counts them too."""


@dataclass(frozen=True)
class GivenAnswer:
    """One thing that somebody once said to a query, whether or not it still stands.

    Args:
        query_id: Which query.
        who: Who said it.
        answer: What was said; None withdrew what the same person had said before.
        shown_at: When the query was shown, seconds since 1970; None where nobody looked.
        answered_at: When the answer came, likewise.
    """

    query_id: str
    who: str
    answer: Answer | None
    shown_at: float | None
    answered_at: float


def stands() -> ColumnElement[bool]:
    """Whether an answer is the last its giver gave to the query, and no withdrawal."""
    later = ANSWERS.alias("later")
    same = (later.c.query_id == ANSWERS.c.query_id) & (later.c.who == ANSWERS.c.who)
    return ANSWERS.c.answer.is_not(None) & ~exists().where(same, later.c.number > ANSWERS.c.number)


def is_answered() -> ColumnElement[bool]:
    """Whether anybody's answer to a query stands."""
    return exists().where(ANSWERS.c.query_id == QUERIES.c.id, stands())


def is_open() -> ColumnElement[bool]:
    """Whether a query waits for an answer: none stands, and it wasn't dropped."""
    return ~is_answered() & ~exists().where(DROPPED.c.query_id == QUERIES.c.id)
