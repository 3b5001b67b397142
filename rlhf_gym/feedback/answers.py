"""What the store says about answers, and which of them stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, case, exists, func, select, true

from rlhf_gym.feedback.schema import ANSWERS, DROPPED, QUERIES
from rlhf_gym.segments import Answer


class Counts(NamedTuple):
    """How far the asking has come, all at one moment."""

    asked: int
    """Queries."""
    labels: int
    """Answers that stand: LEFT, RIGHT and TIE."""
    ties: int
    """Likewise."""
    skips: int
    """Likewise; no labels."""
    dropped: int
    """Queries that were withdrawn and that nobody has answered; `asked` counts them too."""
    open: int
    """Queries that wait for somebody's answer."""
    awaited: int
    """Answers that the open ones wait for, all together."""


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
    """Whether a query waits for an answer: fewer people's stand than it wants, and it wasn't dropped."""
    return (_missing() > 0) & ~is_dropped()


def is_dropped() -> ColumnElement[bool]:
    """Whether a query was withdrawn, answered or not."""
    return exists().where(DROPPED.c.query_id == QUERIES.c.id)


def tally() -> Select[Any]:
    """What :class:`Counts` holds, in one statement: so no answer that comes meanwhile is seen by a part of it alone."""
    answer = ANSWERS.c.answer
    said = select(
        func.count(case((answer != Answer.SKIP.value, 1))).label("labels"),
        func.count(case((answer == Answer.TIE.value, 1))).label("ties"),
        func.count(case((answer == Answer.SKIP.value, 1))).label("skips"),
    ).where(stands())
    asked = select(func.count(QUERIES.c.number).label("asked"))
    dropped = select(func.count(QUERIES.c.number).label("dropped")).where(is_dropped(), ~is_answered())
    missing = select(_missing().label("n")).where(~is_dropped()).subquery()
    waiting = select(func.count().label("open"), func.coalesce(func.sum(missing.c.n), 0).label("awaited"))
    one, *others = (part.subquery() for part in (asked, said, dropped, waiting.where(missing.c.n > 0)))
    together: FromClause = one
    for other in others:
        together = together.join(other, true())
    return select(*(column for part in (one, *others) for column in part.c)).select_from(together)


def _missing() -> ColumnElement[int]:
    """How many more people's answers a query wants; below 0 where more came than were wanted."""
    answers = select(func.count()).select_from(ANSWERS).where(ANSWERS.c.query_id == QUERIES.c.id, stands())
    return QUERIES.c.people - answers.correlate(QUERIES).scalar_subquery()
