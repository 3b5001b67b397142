"""Leases of queries by people, and withdrawn queries: functions on a connection that holds the write lock.

A lease is a row; if a person has several on one query, the last one counts. A query has one place for each answer that
it needs, and a lease reserves one of them for a time. It doesn't restrict who may answer: a person who was shown a
query may, even after the lease has run out.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, final

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
from rlhf_gym.store.runs import Scope
from rlhf_gym.store.schema import ANSWERS, DROPPED, LEASES, QUERIES

LEASE = 120.0
"""Default lease, in seconds: enough for several answers, and soon over if the person left."""
LONGEST = 600.0
"""Longest lease, in seconds: one that ends later was made before a clock was set back."""
SET = 5.0
"""Seconds by which a clock differs from what passed since it was read if somebody has set it."""
AT_ONCE = 16  # open queries searched first; each further part is four times as large
MOST_AT_ONCE = 1000


@final
class Clock:
    """Clock of a store, in seconds since 1970: the server's if there is one. It jumps only in :meth:`follow`."""

    def __init__(self) -> None:
        self._ahead: float | None = None

    def now(self, connection: Connection) -> float:
        """Return the current time."""
        if self._ahead is None:
            self._ahead = _seconds_since_1970(connection) - _ticks()
        return self._ahead + _ticks()

    def follow(self, connection: Connection) -> None:
        """Read the clock again, as processes that begin later do; if it was set, leases end when they would have.

        Args:
            connection: Holds the write lock.
        """
        before = self.now(connection)
        jump = _seconds_since_1970(connection) - before
        if self._ahead is None or abs(jump) < SET:
            return
        moments = (before - LONGEST, before)  # those that ended lately stay ended
        for row in [row for moment in moments for row in connection.execute(_HELD, {"now": moment})]:
            _reserve(connection, [row.query_id], row.who, until=row.until + jump)
        self._ahead += jump


def claim(
    connection: Connection,
    open_ids: Sequence[str],
    who: str,
    *,
    n: int,
    now: float,
    lease: float,
    ahead: int = 0,
    last: Collection[str] = (),
    kinds: Collection[str] | None = None,
) -> list[Row[Any]]:
    """Reserve up to `n` open queries for `who`, and return their rows and `ahead` more; see `PreferenceStore.claim`.

    Args:
        connection: Holds the write lock.
        open_ids: Every open query, the oldest first; no other query is searched.
        who: The person.
        n: Most queries to reserve.
        now: Current time by the store's clock.
        lease: Seconds from now; cut to `LONGEST`.
        ahead: Most queries to return besides.
        last: Ids of queries to choose only after all others.
        kinds: Kinds of query to choose from; None is all.
    """
    found: list[Row[Any]] = []
    held = set(connection.scalars(_MINE, {"who": who, "now": now}))
    mine = [id_ for id_ in open_ids if id_ in held] if held else []
    first = [id_ for id_ in open_ids if id_ not in last] if last else open_ids
    later = [id_ for id_ in open_ids if id_ in last] if last else []
    for oldest, ids in ((_FOR_ME[0], mine), (_FOR_ME[1], first), (_FOR_ME[1], later)):
        if kinds is not None:
            oldest = oldest.where(QUERIES.c.kind.in_(kinds))
        for some in _parts(ids):
            if len(found) >= n + ahead:
                break
            found += connection.execute(oldest, {"who": who, "now": now, "n": n + ahead - len(found), "ids": some})
    _reserve(connection, [row.id for row in found[:n]], who, until=now + min(lease, LONGEST))
    return found


def renew(connection: Connection, query_id: str, *, now: float, lease: float) -> None:
    """Renew the leases on a query that haven't run out."""
    for who in holders(connection, query_id, now=now):
        _reserve(connection, [query_id], who, until=now + min(lease, LONGEST))


def release(connection: Connection, who: str, *, now: float, scope: Scope) -> None:
    """End every lease of `who`, or those on one run's queries."""
    mine = scope.only(_MINE.join(QUERIES, QUERIES.c.id == LEASES.c.query_id)) if scope.number else _MINE
    _reserve(connection, connection.scalars(mine, {"who": who, "now": now}).all(), who, until=now)


def holders(connection: Connection, query_id: str, *, now: float) -> set[str]:
    """List the people for whom a query is reserved now."""
    return set(connection.scalars(_HOLDERS, {"now": now, "id": query_id}))


def reserve(
    connection: Connection, query_ids: Sequence[str], who: str, *, now: float, lease: float = LEASE
) -> Sequence[str]:
    """Reserve queries for a person who has seen them, except those that have no place left; return which."""
    free = [id_ for id_ in query_ids if connection.scalar(_IS_FREE, {"who": who, "now": now, "id": id_})]
    _reserve(connection, free, who, until=now + min(lease, LONGEST))
    return free


def drop(connection: Connection, query_ids: Iterable[str], *, now: float) -> int:
    """Withdraw those of the queries that are open, except those held by a person who hasn't answered.

    Returns:
        Number of queries withdrawn.
    """
    ids = list(dict.fromkeys(query_ids))
    free: set[str] = set()
    for some in _parts(ids):
        free.update(connection.scalars(_NOT_LOOKED_AT, {"now": now, "ids": some}))
    dropped = [{"query_id": id_, "dropped_at": time.time()} for id_ in ids if id_ in free]
    if dropped:
        connection.execute(insert(DROPPED), dropped)
    return len(dropped)


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    start, size = 0, AT_ONCE
    while start < len(ids):
        yield ids[start : start + size]
        start, size = start + size, min(4 * size, MOST_AT_ONCE)


def _holds() -> ColumnElement[bool]:
    """Test whether a lease is its person's last on its query, and hasn't run out."""
    later = LEASES.alias("later")
    same = (later.c.query_id == LEASES.c.query_id) & (later.c.who == LEASES.c.who)
    lasts = (LEASES.c.until > _NOW) & (LEASES.c.until <= _NOW + LONGEST)
    return lasts & ~exists().where(same, later.c.number > LEASES.c.number)


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
    """Build two statements that select a person's oldest open queries: any of them, and only those with a place left.

    The first is for queries that the person holds, which have a place already.
    """
    mine = QUERIES.c.id.in_(_MINE)
    # An open query that nobody holds has a place: this test is faster than counting.
    free = ~_is_held() | ((QUERIES.c.people > 1) & ~mine & _has_a_place())
    answered = exists().where(ANSWERS.c.query_id == QUERIES.c.id, ANSWERS.c.who == _WHO, stands())
    # Ordered by the bare number, SQLite would scan all queries, however few ids there are.
    oldest = select(QUERIES).where(_AMONG, is_open(), ~answered).order_by(QUERIES.c.number + 0)
    oldest = oldest.limit(bindparam("n", type_=Integer))
    return oldest, oldest.where(free)


# Built once: building a statement takes longer than executing it.
_NOW, _WHO = bindparam("now", type_=Double), bindparam("who", type_=Text)
_AMONG = QUERIES.c.id.in_(bindparam("ids", expanding=True))
_MINE = select(LEASES.c.query_id).where(_holds(), LEASES.c.who == _WHO)
_FOR_ME = _for_me()
_HELD = select(LEASES.c.query_id, LEASES.c.who, LEASES.c.until).where(_holds())
_HOLDERS = select(LEASES.c.who).where(LEASES.c.query_id == bindparam("id", type_=Text), _holds())
_NOT_LOOKED_AT = select(QUERIES.c.id).where(_AMONG, is_open(), ~_is_held(~_has_answered()))
_IS_FREE = select(_has_a_place()).where(QUERIES.c.id == bindparam("id", type_=Text))


def _reserve(connection: Connection, query_ids: Sequence[str], who: str, *, until: float) -> None:
    if query_ids:
        connection.execute(insert(LEASES), [{"query_id": id_, "who": who, "until": until} for id_ in query_ids])


def _seconds_since_1970(connection: Connection) -> float:
    if connection.dialect.name == "postgresql":
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0)
    return time.time()


def _ticks() -> float:
    """Return monotonic seconds, which include the machine's sleep where the system can tell."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
