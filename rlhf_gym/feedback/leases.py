"""Who looks at which query, and which queries were withdrawn: functions on a connection that writes alone.

A lease is a row; of several of one person on one query, the last one counts. It says for how long it keeps one of the
places that a query has, as many as it wants people's answers, from being given to somebody else. It doesn't say who may
answer: whoever was shown a query may, even after the lease has run out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, exists, func, insert, select

from rlhf_gym.feedback.answers import is_open, stands
from rlhf_gym.feedback.schema import ANSWERS, DROPPED, LEASES, QUERIES

LEASE = 120.0
"""Seconds for which a query is reserved, unless told otherwise: some answers' time, and soon over if someone left."""


def claim(connection: Connection, who: str, *, n: int, lease: float) -> list[Row[Any]]:
    """Rows of up to `n` open queries, reserved for `who` from now on; see `PreferenceStore.claim`."""
    now = _now(connection)
    found: list[Row[Any]] = []
    mine = QUERIES.c.id.in_(_held(now, LEASES.c.who == who))
    for condition in (mine, ~mine & _has_a_place(now, who)):
        oldest = select(QUERIES).where(is_open(), condition, ~_answered_by(who)).order_by(QUERIES.c.number)
        found += connection.execute(oldest.limit(n - len(found)))
    _reserve(connection, [row.id for row in found], who, until=now + lease)
    return found


def release(connection: Connection, who: str) -> None:
    """End every lease of `who`."""
    now = _now(connection)
    _reserve(connection, connection.scalars(_held(now, LEASES.c.who == who)).all(), who, until=now)


def holders(connection: Connection, query_id: str) -> set[str]:
    """For whom a query is reserved now."""
    return set(connection.scalars(select(LEASES.c.who).where(LEASES.c.query_id == query_id, _holds(_now(connection)))))


def give_back(connection: Connection, query_ids: Sequence[str], who: str) -> None:
    """Reserve queries whose answer was taken back for who took it back, save those that others have by now."""
    if query_ids:
        now = _now(connection)
        free = {
            id_ for id_ in query_ids if connection.scalar(select(_has_a_place(now, who)).where(QUERIES.c.id == id_))
        }
        _reserve(connection, [id_ for id_ in query_ids if id_ in free], who, until=now + LEASE)


def drop(connection: Connection, query_ids: Iterable[str]) -> int:
    """Withdraw those of the queries that are open.

    Returns:
        How many.
    """
    open_ones = set(connection.scalars(select(QUERIES.c.id).where(is_open())))
    dropped = [{"query_id": id_, "dropped_at": time.time()} for id_ in dict.fromkeys(query_ids) if id_ in open_ones]
    if dropped:
        connection.execute(insert(DROPPED), dropped)
    return len(dropped)


def _holds(now: float) -> ColumnElement[bool]:
    """Whether a lease is its person's last on its query, and hasn't run out."""
    later = LEASES.alias("later")
    same = (later.c.query_id == LEASES.c.query_id) & (later.c.who == LEASES.c.who)
    return (LEASES.c.until > now) & ~exists().where(same, later.c.number > LEASES.c.number)


def _held(now: float, by: ColumnElement[bool]) -> Select[Any]:
    return select(LEASES.c.query_id).where(_holds(now), by)


def _has_a_place(now: float, who: str) -> ColumnElement[bool]:
    """Whether others, who have answered a query or look at it, are fewer than it wants."""
    answered = _count(ANSWERS, ANSWERS.c.query_id == QUERIES.c.id, ANSWERS.c.who != who, stands())
    looking = _count(LEASES, LEASES.c.query_id == QUERIES.c.id, LEASES.c.who != who, _holds(now), ~_has_answered())
    return answered + looking < QUERIES.c.people


def _has_answered() -> ColumnElement[bool]:
    """Whether an answer to the query of a lease, by its person, stands."""
    same = (ANSWERS.c.query_id == LEASES.c.query_id) & (ANSWERS.c.who == LEASES.c.who)
    return exists().where(same, stands())


def _answered_by(who: str) -> ColumnElement[bool]:
    return exists().where(ANSWERS.c.query_id == QUERIES.c.id, ANSWERS.c.who == who, stands())


def _count(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).select_from(table).where(*conditions).correlate(QUERIES).scalar_subquery()


def _reserve(connection: Connection, query_ids: Sequence[str], who: str, *, until: float) -> None:
    if query_ids:
        connection.execute(insert(LEASES), [{"query_id": id_, "who": who, "until": until} for id_ in query_ids])


def _now(connection: Connection) -> float:
    """Seconds since 1970, by one clock for all: the server's where there is one, for machines' clocks differ."""
    if connection.dialect.name == "postgresql":
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0)
    return time.time()
