"""Checks of answers before they are written: functions on a connection that holds the write lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from sqlalchemy import Connection, select

from rlhf_gym.store.answers import Taken, stands
from rlhf_gym.store.queries import in_parts
from rlhf_gym.store.rows import readable
from rlhf_gym.store.schema import ANSWERS, QUERIES

Rows = Sequence[Mapping[str, Any]]


def answers_missing(connection: Connection, rows: Rows) -> Rows:
    """Leave out answers that are stored already, by a try whose reply was lost.

    An answer is stored already if the same person's last row for the query equals it in every column.
    """
    ids = list({row["query_id"] for row in rows})
    there = {(r.query_id, r.who): r for r in in_parts(connection, _IN_ORDER, ANSWERS.c.query_id, ids)}

    def is_there(row: Mapping[str, Any]) -> bool:
        last = there.get((row["query_id"], row["who"]))
        return last is not None and all(getattr(last, name) == value for name, value in row.items())

    return [row for row in rows if not is_there(row)]


def check_turn(connection: Connection, row: Mapping[str, Any], *, holders: Callable[[], Set[str]]) -> bool:
    """Return whether an answer has to be written; False if the person's current answer is the same.

    Raises:
        Taken: If the person may not give it, as :meth:`PreferenceStore.record_in_turn` says.
    """
    id_, person = row["query_id"], row["who"]
    said = {r.who: r.answer for r in connection.execute(_IN_ORDER.where(ANSWERS.c.query_id == id_, stands()))}
    mine = said.pop(person, None)
    if mine is not None and mine != row["answer"]:
        raise Taken(
            f"query {id_} was answered by {person} already, maybe in another window: to change it, take it back"
        )
    if mine is not None:
        return False
    with readable(f"query {id_!r}"):
        wanted = int(connection.scalar(select(QUERIES.c.people).where(QUERIES.c.id == id_)) or 1)
    if len(said) >= wanted:
        raise Taken(f"query {id_} was answered by {_listed(said.keys())} meanwhile; ask for the next one")
    held = holders()
    if person not in held and len(said.keys() | held) >= wanted:
        raise Taken(f"query {id_} is with {_listed(held - said.keys())}; ask for the next one")
    return True


_IN_ORDER = select(ANSWERS).order_by(ANSWERS.c.number + 0)  # by its bare number SQLite would read every answer


def _listed(people: Set[str]) -> str:
    return " and ".join(sorted(people))
