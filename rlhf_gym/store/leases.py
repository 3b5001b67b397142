"""Leases of queries by people, and withdrawn queries: functions on a connection that writes alone.

A lease is a row; of several of one person on one query, the last one counts. It says for how long it keeps one of the
places that a query has, one for each answer it needs, from being given to another person. It doesn't say who may
answer: a person who was shown a query may, even after the lease has run out.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Integer,
    Row,
    Select,
    Table,
    Text,
    bindparam,
    exists,
    func,
    insert,
    select,
)

from rlhf_gym.store.answers import is_open, stands
from rlhf_gym.store.schema import ANSWERS, DROPPED, LEASES, QUERIES

LEASE = 120.0
"""Seconds for which a query is reserved, unless told otherwise: some answers' time, and soon over if someone left."""


def claim(
    connection: Connection, who: str, *, n: int, lease: float, kinds: Collection[str] | None = None
) -> list[Row[Any]]:
    """Reserve up to `n` open queries for `who`, and return their rows; see `PreferenceStore.claim`."""
    now = _now(connection)
    found: list[Row[Any]] = []
    for oldest in _FOR_ME:
        if kinds is not None:
            oldest = oldest.where(QUERIES.c.kind.in_(kinds))
        found += connection.execute(oldest, {"who": who, "now": now, "n": n - len(found)})
    _reserve(connection, [row.id for row in found], who, until=now + lease)
    return found


def release(connection: Connection, who: str) -> None:
    """End every lease of `who`."""
    now = _now(connection)
    _reserve(connection, connection.scalars(_MINE, {"who": who, "now": now}).all(), who, until=now)


def holders(connection: Connection, query_id: str) -> set[str]:
    """List the people for whom a query is reserved now."""
    reserved = select(LEASES.c.who).where(LEASES.c.query_id == query_id, _holds())
    return set(connection.scalars(reserved, {"now": _now(connection)}))


def give_back(connection: Connection, query_ids: Sequence[str], who: str) -> None:
    """Reserve queries for the person who took their answer back, but for those that others hold by now."""
    if query_ids:
        now = _now(connection)
        free = [id_ for id_ in query_ids if connection.scalar(_IS_FREE, {"who": who, "now": now, "id": id_})]
        _reserve(connection, free, who, until=now + LEASE)


def drop(connection: Connection, query_ids: Iterable[str]) -> int:
    """Withdraw those of the queries that are open, and that nobody holds.

    Returns:
        How many.
    """
    free = set(connection.scalars(_NOT_LOOKED_AT, {"now": _now(connection)}))
    dropped = [{"query_id": id_, "dropped_at": time.time()} for id_ in dict.fromkeys(query_ids) if id_ in free]
    if dropped:
        connection.execute(insert(DROPPED), dropped)
    return len(dropped)


def _holds() -> ColumnElement[bool]:
    """Test whether a lease is its person's last on its query, and hasn't run out."""
    later = LEASES.alias("later")
    same = (later.c.query_id == LEASES.c.query_id) & (later.c.who == LEASES.c.who)
    return (LEASES.c.until > _NOW) & ~exists().where(same, later.c.number > LEASES.c.number)


def _is_held(*by: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(LEASES.c.query_id == QUERIES.c.id, _holds(), *by)


def _has_a_place() -> ColumnElement[bool]:
    """Test whether fewer other people have answered or hold the query than it needs."""
    answered = _count(ANSWERS, ANSWERS.c.query_id == QUERIES.c.id, ANSWERS.c.who != _WHO, stands())
    looking = _count(LEASES, LEASES.c.query_id == QUERIES.c.id, LEASES.c.who != _WHO, _holds(), ~_has_answered())
    return answered + looking < QUERIES.c.people


def _has_answered() -> ColumnElement[bool]:
    """Test whether the person of a lease has a current answer to its query."""
    same = (ANSWERS.c.query_id == LEASES.c.query_id) & (ANSWERS.c.who == LEASES.c.who)
    return exists().where(same, stands())


def _count(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).select_from(table).where(*conditions).correlate(QUERIES).scalar_subquery()


def _for_me() -> tuple[Select[Any], Select[Any]]:
    """Select the oldest open queries that a person holds already, and those with a place for them."""
    mine = QUERIES.c.id.in_(_MINE)
    # An open query that nobody holds has a place: this test is faster than counting.
    free = ~_is_held() | ((QUERIES.c.people > 1) & ~mine & _has_a_place())
    answered = exists().where(ANSWERS.c.query_id == QUERIES.c.id, ANSWERS.c.who == _WHO, stands())
    oldest = select(QUERIES).where(is_open(), ~answered).order_by(QUERIES.c.number).limit(bindparam("n", type_=Integer))
    return oldest.where(mine), oldest.where(free)


# Made once: to put one together takes longer than to execute it.
_NOW, _WHO = bindparam("now", type_=Double), bindparam("who", type_=Text)
_MINE = select(LEASES.c.query_id).where(_holds(), LEASES.c.who == _WHO)
_FOR_ME = _for_me()
_NOT_LOOKED_AT = select(QUERIES.c.id).where(is_open(), ~_is_held(~_has_answered()))
_IS_FREE = select(_has_a_place()).where(QUERIES.c.id == bindparam("id", type_=Text))


def _reserve(connection: Connection, query_ids: Sequence[str], who: str, *, until: float) -> None:
    if query_ids:
        connection.execute(insert(LEASES), [{"query_id": id_, "who": who, "until": until} for id_ in query_ids])


def _now(connection: Connection) -> float:
    """Seconds since 1970, by one clock for all: the server's where there is one, for machines' clocks differ."""
    if connection.dialect.name == "postgresql":
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0)
    return time.time()
