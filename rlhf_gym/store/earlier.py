"""Migration of versions 1 to 4 of the tables: functions on a connection that holds the write lock.

Version 4 held one run. Before it, the row of a query held both its segments; version 2 had no `people`, and version 1
had no `repeats`, leases and dropped queries either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, Table, inspect, select, text, update

from rlhf_gym.preferences import QUERY_FIELDS, Query
from rlhf_gym.store.queries import AtHand, Written, write, written
from rlhf_gym.store.rows import earlier_row_to_segment
from rlhf_gym.store.schema import ANSWERS, DROPPED, LEASES, META, QUERIES, RUNS, SCHEMA_VERSION, TABLES

EARLIER = {"1", "2", "3", "4"}
_SIDES = ("left", "right")
_AT_ONCE = 200  # queries in memory


def move_over(connection: Connection) -> None:
    """Migrate a database of an earlier version to today's tables, in one transaction; nothing is lost."""
    version = META.c.name == "schema_version"
    if connection.scalar(select(META.c.value).where(version)) == "4":
        _add_runs(connection)
    else:
        _split_queries(connection)
    connection.execute(update(META).where(version).values(value=str(SCHEMA_VERSION)))


def _add_runs(connection: Connection) -> None:
    """Add the table of runs, and make all stored queries run 1's."""
    RUNS.create(connection)
    connection.exec_driver_sql("ALTER TABLE queries ADD COLUMN run INTEGER DEFAULT 1 NOT NULL")
    for index in QUERIES.indexes:
        index.create(connection)


def _split_queries(connection: Connection) -> None:
    """Give each segment a row of its own."""
    there = inspect(connection)
    tables = [table for table in (QUERIES, ANSWERS, LEASES, DROPPED) if there.has_table(table.name)]
    for table in tables:
        for index in there.get_indexes(table.name):  # dropped to free its name
            if not index["unique"]:
                connection.exec_driver_sql(f"DROP INDEX {index['name']}")
    for table in tables:
        connection.exec_driver_sql(f"ALTER TABLE {table.name} RENAME TO earlier_{table.name}")
    TABLES.create_all(connection)
    _move_queries(connection)
    for table in tables[1:]:
        columns = ", ".join(table.c.keys())
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM earlier_{table.name}")
    for table in reversed(tables):
        connection.exec_driver_sql(f"DROP TABLE earlier_{table.name}")
        _count_on(connection, table)


def _move_queries(connection: Connection) -> None:
    at_hand = AtHand()
    for rows in _parts(connection):
        further = [{n: row[n] for n in ("number", "posted_at", "people") if n in row} for row in rows]
        write(connection, [_query(row) for row in rows], further, at_hand)


def _parts(connection: Connection) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Read the rows of the earlier table in order, in parts."""
    some = text("SELECT * FROM earlier_queries WHERE number > :last ORDER BY number LIMIT :n")
    last = -1
    while rows := [dict(row._mapping) for row in connection.execute(some, {"last": last, "n": _AT_ONCE})]:
        yield rows
        last = rows[-1]["number"]


def _query(row: Mapping[str, Any]) -> Written:
    names = ("arrays", "terminated", "origin")
    sides = [SimpleNamespace(length=row["length"], **{n: row[f"{side}_{n}"] for n in names}) for side in _SIDES]
    fields = {name: row[name] for name in QUERY_FIELDS if name in row}
    if fields["value"] is None:
        fields["value"] = float("nan")
    return written(Query(tuple(map(earlier_row_to_segment, sides)), **fields))


def _count_on(connection: Connection, table: Table) -> None:
    """Set a server's counter of rows past the last migrated one; SQLite does so by itself."""
    if connection.dialect.name == "postgresql" and "number" in table.c:
        connection.exec_driver_sql(
            f"SELECT setval(pg_get_serial_sequence('{table.name}', 'number'), max(number)) FROM {table.name}"
        )
