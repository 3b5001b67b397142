"""Who looks at which query, and which queries were withdrawn: functions on a connection that writes alone.

A lease is a row; of several on one query, the last one counts. It says for how long nobody else is given the query. It
doesn't say who may answer: whoever was shown a query may, even after the lease has run out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, insert, or_, select

from rlhf_gym.feedback.answers import is_open
from rlhf_gym.feedback.schema import DROPPED, LEASES, QUERIES

LEASE = 120.0
"""Seconds for which a query is reserved, unless told otherwise: some answers' time, and soon over if someone left."""


def claim(connection: Connection, who: str, *, n: int, lease: float) -> list[Row[Any]]:
    """Rows of up to `n` open queries, reserved for `who` from now on; see `PreferenceStore.claim`."""
    now, last = _now(connection), _last_leases().subquery()
    own = (last.c.who == who) & (last.c.until > now)
    free = (
        select(QUERIES.c.id)
        .join(last, last.c.query_id == QUERIES.c.id, isouter=True)
        .where(is_open(), or_(last.c.until.is_(None), last.c.until <= now, own))
        .order_by(case((own, 0), else_=1), QUERIES.c.number)
        .limit(n)
    )
    ids = connection.scalars(free).all()
    _reserve(connection, ids, who, until=now + lease)
    rows = connection.execute(select(QUERIES).where(QUERIES.c.id.in_(ids)))
    return sorted(rows, key=lambda row: ids.index(row.id))


def release(connection: Connection, who: str) -> None:
    """End every lease of `who`."""
    now = _now(connection)
    held = _last_leases().where(LEASES.c.who == who, LEASES.c.until > now).subquery()
    _reserve(connection, connection.scalars(select(held.c.query_id)).all(), who, until=now)


def holder(connection: Connection, query_id: str) -> str | None:
    """For whom a query is reserved now; None where it is for nobody."""
    held = _last_leases().where(LEASES.c.query_id == query_id, LEASES.c.until > _now(connection)).subquery()
    who = connection.scalar(select(held.c.who))
    return None if who is None else str(who)


def give_back(connection: Connection, query_ids: Sequence[str], who: str) -> None:
    """Reserve queries whose answer was taken back for who took it back, save those that somebody else has by now."""
    if not query_ids:
        return
    now = _now(connection)
    others = _last_leases().where(LEASES.c.who != who, LEASES.c.until > now).subquery()
    taken = set(connection.scalars(select(others.c.query_id)))
    _reserve(connection, [id_ for id_ in query_ids if id_ not in taken], who, until=now + LEASE)


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


def _last_leases() -> Select[Any]:
    """The lease that counts of each query, run out or not."""
    return select(LEASES).where(LEASES.c.number.in_(select(func.max(LEASES.c.number)).group_by(LEASES.c.query_id)))


def _reserve(connection: Connection, query_ids: Sequence[str], who: str, *, until: float) -> None:
    if query_ids:
        connection.execute(insert(LEASES), [{"query_id": id_, "who": who, "until": until} for id_ in query_ids])


def _now(connection: Connection) -> float:
    """Seconds since 1970, by one clock for all: the server's where there is one, for machines' clocks differ."""
    if connection.dialect.name == "postgresql":
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0)
    return time.time()
