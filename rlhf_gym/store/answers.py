"""Answers in the store, and which of them are current: neither replaced nor withdrawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, case, exists, func, select

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import OWN, Answer, Said
from rlhf_gym.store.schema import ANSWERS, DROPPED, OPTIONS, QUERIES


class UnknownQuery(BadInput):
    """A query that was never posted."""


class Taken(BadInput):
    """A query that others have taken, or that was answered under the same name already."""


class Counts(NamedTuple):
    """Numbers of queries and answers at one moment; the learned reward's own answers are no labels."""

    asked: int
    """Queries, including those that the learned reward answered itself."""
    labels: int
    """Current answers, without skips."""
    ties: int
    """Labels that are TIE."""
    skips: int
    """Current answers that are SKIP."""
    dropped: int
    """Withdrawn queries without a current answer; `asked` counts them too."""
    open: int
    """Queries that wait for an answer."""
    awaited: int
    """Answers that the open queries still need, in total."""


@dataclass(frozen=True)
class GivenAnswer:
    """One answer to a query, current or not.

    Args:
        query_id: Id of the query.
        who: Name of the person or teacher.
        answer: The answer; None withdraws the person's earlier one.
        shown_at: When the query was shown, seconds since 1970; None if nobody saw it.
        answered_at: When it was answered, likewise.
    """

    query_id: str
    who: str
    answer: Said | None
    shown_at: float | None
    answered_at: float


class AnswerSince(NamedTuple):
    """One answer with its number in the order of answering, without its query's segments."""

    number: int
    """Higher than that of any answer before it."""
    query_id: str
    """Id of the query."""
    person: str
    """Name of the person or teacher."""
    answer: Said | None
    """The answer; None withdraws the person's earlier one."""
    shown_at: float | None
    """When the query was shown, seconds since 1970; None if nobody saw it."""
    answered_at: float
    """When it was answered, likewise."""


def stands() -> ColumnElement[bool]:
    """Test whether an answer is its person's last to the query, and no withdrawal."""
    later = ANSWERS.alias("later")
    same = (later.c.query_id == ANSWERS.c.query_id) & (later.c.who == ANSWERS.c.who)
    return ANSWERS.c.answer.is_not(None) & ~exists().where(same, later.c.number > ANSWERS.c.number)


def given() -> Select[Any]:
    """Select every answer in order, with its query's kind and number of options."""
    options = number_of_options().label("options")
    asked = select(ANSWERS, QUERIES.c.kind, options).join(QUERIES, QUERIES.c.id == ANSWERS.c.query_id)
    return asked.order_by(ANSWERS.c.number)


def number_of_options() -> ColumnElement[int]:
    """Count the options of a query."""
    options = select(func.count()).select_from(OPTIONS).where(OPTIONS.c.query_id == QUERIES.c.id)
    return options.correlate(QUERIES).scalar_subquery()


def is_answered() -> ColumnElement[bool]:
    """Test whether a query has a current answer."""
    return exists().where(ANSWERS.c.query_id == QUERIES.c.id, stands())


def _n_answers() -> ColumnElement[int]:
    answers = select(func.count()).select_from(ANSWERS).where(ANSWERS.c.query_id == QUERIES.c.id, stands())
    return answers.correlate(QUERIES).scalar_subquery()


def is_open() -> ColumnElement[bool]:
    """Test whether a query waits for an answer: fewer people have answered than it needs, and it isn't withdrawn."""
    # Testing for one answer is faster than counting, and enough for most queries.
    is_dropped = exists().where(DROPPED.c.query_id == QUERIES.c.id)
    return (~is_answered() | ((QUERIES.c.people > 1) & (_n_answers() < QUERIES.c.people))) & ~is_dropped


def tally_by_kind() -> Select[Any]:
    """Select all of :class:`Counts` by kind of query, in one statement."""
    return _TALLY


def _tally() -> Select[Any]:
    answer = ANSWERS.c.answer
    said = select(
        ANSWERS.c.query_id,
        func.count().label("n"),
        func.count(case((answer == Answer.TIE.value, 1))).label("ties"),
        func.count(case((answer == Answer.SKIP.value, 1))).label("skips"),
    )
    given_to = said.where(stands()).group_by(ANSWERS.c.query_id).subquery()
    there, gone = func.coalesce(given_to.c.n, 0), DROPPED.c.query_id.is_not(None)
    is_waiting = (there < QUERIES.c.people) & ~gone
    is_own = QUERIES.c.why == OWN
    told = {"labels": given_to.c.n - given_to.c.skips, "ties": given_to.c.ties, "skips": given_to.c.skips}
    all_queries = QUERIES.outerjoin(given_to, given_to.c.query_id == QUERIES.c.id).outerjoin(DROPPED)
    counts: list[Any] = [
        func.count().label("asked"),
        *(_sum(case((is_own, 0), else_=n)).label(name) for name, n in told.items()),
        func.count(case(((there == 0) & gone, 1))).label("dropped"),
        func.count(case((is_waiting, 1))).label("open"),
        _sum(case((is_waiting, QUERIES.c.people - there))).label("awaited"),
    ]
    return select(QUERIES.c.kind, *counts).select_from(all_queries).group_by(QUERIES.c.kind)


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    return func.coalesce(func.sum(column), 0)


_TALLY = _tally()
