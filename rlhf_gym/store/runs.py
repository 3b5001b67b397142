"""Several runs in one database, each with a name, and a number that its queries refer to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar, final

from sqlalchemy import Connection, Row, Select, exists, func, insert, select, update

from rlhf_gym.errors import BadInput
from rlhf_gym.store.schema import ANSWERS, QUERIES, RUNS

FIRST = "first"
"""Name of a run without one, as in a run directory's own database."""
NAME_PATTERN = r"^[A-Za-z0-9_.,=+@/-]{1,100}$"
"""What a run may be called."""
Statement = TypeVar("Statement", bound=Select[Any])


class UnknownRun(BadInput):
    """A run that a store doesn't have."""


@dataclass(frozen=True)
class StoredRun:
    """A run in a database, and what people who answer its queries are shown.

    Args:
        name: At most 100 letters, digits and any of `. , = + @ / - _`.
        env_id: Its environment; "" if unknown.
        labels: Its budget; None if unknown.
        instructions: What to look for, in the researcher's words.
        levels: Names of a rating's levels, the worst first; empty shows numbers.
        draw: How clips are drawn, as in the setting `feedback.draw`.
        number: Its number in the database, from 1.
    """

    name: str
    env_id: str = ""
    labels: int | None = None
    instructions: str = ""
    levels: tuple[str, ...] = ()
    draw: str = "auto"
    number: int = 1


@final
@dataclass(frozen=True)
class Scope:
    """Whose queries a store shows: one run's, by their own ids, or every run's.

    Two runs may have drawn the same id, so the database stores keys: an id, prefixed with the run's number for each run
    but the first. Where every run is shown, the keys are the ids.

    Args:
        number: Number of the run; None is every run.
    """

    number: int | None = None

    @property
    def prefix(self) -> str:
        """Prefix of an id in its key."""
        return f"{self.number}:" if self.number and self.number > 1 else ""

    def key(self, id_: str) -> str:
        """Make the key of an id."""
        return self.prefix + id_

    def id(self, key: str) -> str:
        """Make the id of a key."""
        return key.removeprefix(self.prefix)

    def only(self, statement: Statement) -> Statement:
        """Restrict a statement about queries to the scope."""
        return statement if self.number is None else statement.where(QUERIES.c.run == self.number)

    def only_in_order(self, statement: Statement) -> Statement:
        """Restrict a statement about queries and answers that reads a range of answers by their numbers.

        With the bare column, SQLite would go through all queries of the run to find a few new answers.
        """
        asked_by = func.coalesce(QUERIES.c.run, 0)  # no index covers this
        return statement if self.number is None else statement.where(asked_by == self.number)

    def only_answers(self, statement: Statement, *, in_order: bool = False) -> Statement:
        """Restrict a statement about answers alone; `in_order` as :meth:`only_in_order`."""
        joined = statement.join(QUERIES, QUERIES.c.id == ANSWERS.c.query_id)
        if self.number is None:
            return statement
        return self.only_in_order(joined) if in_order else self.only(joined)


EVERY = Scope()


def find_runs(connection: Connection) -> list[StoredRun]:
    """List every run, the oldest first; if none is stored, the one run without a name."""
    return [_stored(row) for row in connection.execute(select(RUNS).order_by(RUNS.c.number))] or [StoredRun(FIRST)]


def find_asking(connection: Connection, scope: Scope) -> list[StoredRun]:
    """List the runs of a scope that have posted queries; the first one if none has."""
    runs = [run for run in find_runs(connection) if scope.number in (None, run.number)]
    asked = set(connection.scalars(select(RUNS.c.number).where(exists().where(QUERIES.c.run == RUNS.c.number))))
    return [run for run in runs if run.number in asked] or runs[:1]


def find_run(connection: Connection, name: str, place: str) -> StoredRun:
    """Find a run by its name.

    Raises:
        UnknownRun: If there is none.
    """
    runs = find_runs(connection)
    for run in runs:
        if run.name == name:
            return run
    raise UnknownRun(f"run is {name}, and preference store {place} has no such run; it has {listed(runs)}")


def begin_run(connection: Connection, run: StoredRun) -> StoredRun:
    """Add a run under the next number, or find the stored run of its name.

    Args:
        connection: Holds the write lock.
        run: The run; its number is ignored.
    """
    rows = [_stored(row) for row in connection.execute(select(RUNS))]
    if not rows and connection.execute(select(QUERIES.c.number).limit(1)).first():
        rows = [StoredRun(FIRST)]  # the stored queries were posted before runs had names
        connection.execute(insert(RUNS), [_row(rows[0])])
    for one in rows:
        if one.name == run.name:
            return one
    run = replace(run, number=1 + max((one.number for one in rows), default=0))
    connection.execute(insert(RUNS), [_row(run)])
    return run


def describe_run(connection: Connection, run: StoredRun) -> None:
    """Update what people are shown of a run."""
    told = _row(run)
    del told["number"]
    connection.execute(update(RUNS).where(RUNS.c.name == run.name).values(told))


def check_name(name: str) -> None:
    """Refuse a name that can't be typed or shown.

    Raises:
        BadInput: Saying what a name may hold.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise BadInput(f"feedback.run is {name!r}; use letters, digits and . , = + @ / - _, 100 of them at most")


def check_one_to_write(connection: Connection, scope: Scope) -> None:
    """Refuse to post for every run at once.

    Raises:
        BadInput: If there are several runs, and the scope names none.
    """
    if scope.number is None and len(runs := find_runs(connection)) > 1:
        raise BadInput(f"this preference store has {len(runs)} runs and none was named; name one: {listed(runs)}")


def listed(runs: Iterable[StoredRun]) -> str:
    """List the names of runs in one line, ten of them at most."""
    names = [run.name for run in runs]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def _stored(row: Row[Any]) -> StoredRun:
    return StoredRun(**{**row._mapping, "levels": tuple(json.loads(row.levels))})


def _row(run: StoredRun) -> dict[str, Any]:
    return asdict(run) | {"levels": json.dumps(run.levels)}
