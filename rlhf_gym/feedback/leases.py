"""Who looks at which query, and which queries were withdrawn: functions on a connection that writes alone.

A lease is a row; of several on one query, the last one counts. It says for how long nobody else is given the query. It
doesn't say who may answer: whoever was shown a query may, even after the lease has run out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, insert, select

from rlhf_gym.feedback.answers import is_open
from rlhf_gym.feedback.schema import DROPPED, LEASES, QUERIES

LEASE = 120.0
"""Seconds for which a query is reserved, unless told otherwise: some answers' time, and soon over if someone left."""


def claim(connection: Connection, who: str, *, n: int, lease: float) -> list[Row[Any]]:
    """Rows of up to `n` open queries, reserved for `who` from now on; see `PreferenceStore.claim`."""
    now = _now(connection)
    found: list[Row[Any]] = []
    for condition in (QUERIES.c.id.in_(_held(now, LEASES.c.who == who)), ~_is_held(now)):
        oldest = select(QUERIES).where(is_open(), condition).order_by(QUERIES.c.number)
        found += connection.execute(oldest.limit(n - len(found)))
    _reserve(connection, [row.id for row in found], who, until=now + lease)
    return found


def release(connection: Connection, who: str) -> None:
    """End every lease of `who`."""
    now = _now(connection)
    _reserve(connection, connection.scalars(_held(now, LEASES.c.who == who)).all(), who, until=now)


def holder(connection: Connection, query_id: str) -> str | None:
    """For whom a query is reserved now; None where it is for nobody."""
    held = select(LEASES.c.who).where(_holds(_now(connection)), LEASES.c.query_id == query_id)
    who = connection.scalar(held)
    return None if who is None else str(who)


def give_back(connection: Connection, query_ids: Sequence[str], who: str) -> None:
    """Reserve queries whose answer was taken back for who took it back, save those that somebody else has by now."""
    if query_ids:
        now = _now(connection)
        others = set(connection.scalars(_held(now, LEASES.c.who != who)))
        _reserve(connection, [id_ for id_ in query_ids if id_ not in others], who, until=now + LEASE)


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
    """Whether a lease is the last on its query, and hasn't run out."""
    later = LEASES.alias("later")
    return (LEASES.c.until > now) & ~exists().where(
        later.c.query_id == LEASES.c.query_id, later.c.number > LEASES.c.number
    )


def _held(now: float, by: ColumnElement[bool]) -> Select[Any]:
    return select(LEASES.c.query_id).where(_holds(now), by)


def _is_held(now: float) -> ColumnElement[bool]:
    return exists().where(LEASES.c.query_id == QUERIES.c.id, _holds(now))


def _reserve(connection: Connection, query_ids: Sequence[str], who: str, *, until: float) -> None:
    if query_ids:
        connection.execute(insert(LEASES), [{"query_id": id_, "who": who, "until": until} for id_ in query_ids])


def _now(connection: Connection) -> float:
    """Seconds since 1970, by one clock for all: the server's where there is one, for machines' clocks differ."""
    if connection.dialect.name == "postgresql":
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0)
    return time.time()
