"""Writing and reading of queries with their options: functions on a connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy import ColumnElement, Connection, Row, Select, insert, select

from rlhf_gym.kinds import check_query
from rlhf_gym.kinds.made import ARRAYS
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Segment
from rlhf_gym.store.rows import query_to_row, readable, row_to_query, row_to_segment, segment_to_row
from rlhf_gym.store.runs import EVERY, Scope
from rlhf_gym.store.schema import OPTIONS, QUERIES, SEGMENTS

_AT_ONCE = 500  # values in one statement: databases limit them


@dataclass(frozen=True, eq=False)
class AtHand:
    """Cache of stored queries by key and segments by digest, while referenced, so that none is decoded again."""

    scope: Scope = EVERY
    """The run, or all runs, that the queries belong to."""
    queries: WeakValueDictionary[str, Query] = field(default_factory=WeakValueDictionary)
    segments: WeakValueDictionary[str, Segment] = field(default_factory=WeakValueDictionary)


@dataclass(frozen=True, eq=False)
class Written:
    """The rows of a query: one of its own, and one for each of its segments."""

    query: Query
    row: dict[str, Any]
    segments: tuple[dict[str, Any], ...]

    @property
    def key(self) -> str:
        """The query's id in the database."""
        return str(self.row["id"])

    @property
    def digests(self) -> tuple[str, ...]:
        """Digests of the options, by place."""
        return tuple(segment["digest"] for segment in self.segments)


def written(query: Query, texts: dict[int, str] | None = None, *, scope: Scope = EVERY) -> Written:
    """Make all rows of a query, without writing them.

    Args:
        query: The query.
        texts: As :func:`segment_to_row` takes it.
        scope: The run that it belongs to.

    Raises:
        BadInput: If it doesn't fit its kind, or a segment can't be written.
    """
    check_query(query)
    named = zip(query.options, query.names, strict=True)
    row = query_to_row(query)
    row |= {name: scope.key(row[name]) for name in ("id", "repeats") if row[name] is not None}
    return Written(query, row, tuple(segment_to_row(one, f"{name} segment", texts) for one, name in named))


def write(
    connection: Connection, queries: Sequence[Written], further: Sequence[Mapping[str, Any]], at_hand: AtHand
) -> None:
    """Write queries, and those of their segments that aren't stored yet.

    Args:
        connection: Holds the write lock.
        queries: At least one.
        further: For each query, the columns that aren't part of it, such as `posted_at`.
        at_hand: Cache; its segments are stored already.
    """
    segments = {row["digest"]: row for one in queries for row in one.segments if row["digest"] not in at_hand.segments}
    for row in in_parts(connection, select(SEGMENTS.c.digest), SEGMENTS.c.digest, list(segments)):
        del segments[row.digest]
    if segments:
        connection.execute(insert(SEGMENTS), list(segments.values()))
    of = {"run": at_hand.scope.number or 1}
    rows = [{**of, **one.row, **columns} for one, columns in zip(queries, further, strict=True)]
    connection.execute(insert(QUERIES), rows)
    connection.execute(
        insert(OPTIONS),
        [
            {"query_id": one.key, "place": place, "segment": digest}
            for one in queries
            for place, digest in enumerate(one.digests)
        ],
    )


def were_written(connection: Connection, queries: Sequence[Written], posted_at: float) -> bool:
    """Test whether these queries are stored with this `posted_at`: committed by a try whose reply was lost."""
    ids, moments = [one.key for one in queries], select(QUERIES.c.id, QUERIES.c.posted_at)
    there = {row.id: row.posted_at for row in in_parts(connection, moments, QUERIES.c.id, ids)}
    return all(there.get(one.key) == posted_at for one in queries)


def keep_at_hand(queries: Iterable[Written], at_hand: AtHand) -> None:
    """Cache committed queries and segments, except those whose arrays their owner could still change."""
    for one in queries:
        fixed = list(map(_is_fixed, one.query.options))
        for segment, digest, is_fixed in zip(one.query.options, one.digests, fixed, strict=True):
            if is_fixed:
                at_hand.segments[digest] = segment
        if all(fixed):
            at_hand.queries[one.key] = one.query


def read(connection: Connection, rows: Iterable[Row[Any]], at_hand: AtHand) -> dict[str, Query]:
    """Read the queries of some rows, by key, decoding each segment at most once.

    Args:
        connection: Any connection.
        rows: With at least the columns of `queries`; a query may occur several times.
        at_hand: Cache, to which the queries are added.
    """
    by_id = {row.id: row for row in rows}
    found = {id_: query for id_ in by_id if (query := at_hand.queries.get(id_)) is not None}
    digests = digests_of(connection, [id_ for id_ in by_id if id_ not in found])
    segments = _segments(connection, list(dict.fromkeys(chain.from_iterable(digests.values()))), at_hand)
    for id_, mine in digests.items():
        found[id_] = at_hand.queries[id_] = _made(by_id[id_], mine, segments, at_hand.scope)
    return {id_: found[id_] for id_ in by_id}


def _made(row: Row[Any], digests: Sequence[str], segments: Mapping[str, Segment], scope: Scope) -> Query:
    with readable(f"query {row.id!r}"):
        options = [segments[digest] for digest in digests]
    query = row_to_query(row, options)
    if scope.prefix:
        return replace(query, id=scope.id(query.id), repeats=query.repeats and scope.id(query.repeats))
    return query


def digests_of(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Look up the digests of the options of queries, by place."""
    places: dict[str, dict[int, str]] = {id_: {} for id_ in ids}
    for row in in_parts(connection, select(OPTIONS), OPTIONS.c.query_id, ids):
        places[row.query_id][row.place] = row.segment
    return {id_: tuple(digest for _, digest in sorted(mine.items())) for id_, mine in places.items()}


def in_parts(
    connection: Connection, statement: Select[Any], column: ColumnElement[Any], values: Sequence[str]
) -> Iterator[Row[Any]]:
    """Read the rows in which a column is one of the values, in batches of values."""
    for start in range(0, len(values), _AT_ONCE):
        yield from connection.execute(statement.where(column.in_(values[start : start + _AT_ONCE])))


def _segments(connection: Connection, digests: Sequence[str], at_hand: AtHand) -> dict[str, Segment]:
    found = {digest: segment for digest in digests if (segment := at_hand.segments.get(digest)) is not None}
    missing = [digest for digest in digests if digest not in found]
    for row in in_parts(connection, select(SEGMENTS), SEGMENTS.c.digest, missing):
        found[row.digest] = at_hand.segments[row.digest] = row_to_segment(row)
    return found


def _is_fixed(segment: Segment) -> bool:
    """Test whether a segment's arrays can't be changed by anybody, like those cut from a trajectory."""
    flags = [getattr(segment, name).flags for name in ARRAYS]
    return all(flag.owndata and not flag.writeable for flag in flags)
