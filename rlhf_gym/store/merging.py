"""Merging of preferences into a store: functions on a connection that holds the write lock."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import answer_text
from rlhf_gym.preferences import QUERY_FIELDS, Preference
from rlhf_gym.store.queries import AtHand, Written, digests_of, in_parts, write, written
from rlhf_gym.store.rows import answer_row
from rlhf_gym.store.runs import Scope
from rlhf_gym.store.schema import ANSWERS, QUERIES

_ANSWER = ("query_id", "who", "answer", "shown_at", "answered_at")


def add(connection: Connection, preferences: Sequence[Preference], at_hand: AtHand) -> int:
    """Write the preferences that are new; see `PreferenceStore.add`.

    Args:
        connection: Holds the write lock.
        preferences: Preferences to add.
        at_hand: Cache; its segments are stored already.

    Returns:
        Number of new answers.
    """
    now = time.time()
    new = _new_queries(connection, [written(preference.query, scope=at_hand.scope) for preference in preferences])
    answers = _new_answers(connection, preferences, now, at_hand.scope)
    if new:
        write(connection, new, [{"posted_at": now}] * len(new), at_hand)
    if answers:
        connection.execute(insert(ANSWERS), answers)
    return len(answers)


def _new_queries(connection: Connection, queries: Iterable[Written]) -> list[Written]:
    """Find queries with a new id, once each; the others must equal the stored ones."""
    by_id: dict[str, Written] = {}
    for one in queries:
        if _content(by_id.setdefault(one.key, one)) != _content(one):
            raise _another(one.query.id)
    there = _stored(connection, list(by_id))
    for id_ in there:
        if there[id_] != _content(by_id[id_]):
            raise _another(by_id[id_].query.id)
    return [one for id_, one in by_id.items() if id_ not in there]


def _new_answers(
    connection: Connection, preferences: Iterable[Preference], now: float, scope: Scope
) -> list[dict[str, Any]]:
    """Make rows of the new answers; the others must equal the stored ones, one taken back since among them."""
    rows = [_answer_to_row(preference, scope) for preference in preferences]
    history = select(*(ANSWERS.c[name] for name in _ANSWER)).order_by(ANSWERS.c.number + 0)  # see rlhf_gym.store.tally
    ids = list(dict.fromkeys(row["query_id"] for row in rows))
    ever: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for found in in_parts(connection, history, ANSWERS.c.query_id, ids):
        ever[found.query_id, found.who].append(found._asdict())
    new = []
    for row in rows:
        said = ever[row["query_id"], row["who"]]
        if any(not _differing(row, one) for one in said):
            continue
        if said and said[-1]["answer"] is not None:
            name = _differing(row, said[-1])[0]
            raise BadInput(
                f"{name} of {row['who']!r} to query {scope.id(row['query_id'])!r} is {said[-1][name]!r} in the store "
                f"and {row[name]!r} in what is to be added; keep one of the two"
            )
        said.append({**row, "answered_at": now if row["answered_at"] is None else row["answered_at"]})
        new.append(said[-1])
    return new


def _differing(row: Mapping[str, Any], stored: Mapping[str, Any]) -> list[str]:
    """List the columns in which an answer to add differs from a stored one; what it leaves open doesn't."""
    return [name for name in row if row[name] not in (stored[name], None)]


def _content(one: Written) -> tuple[Any, ...]:
    """Collect a query's content in a form that `==` compares bit for bit."""
    return (*one.row.values(), *one.digests)


def _stored(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Read the content of those queries that are stored, by id."""
    columns = [QUERIES.c[name] for name in QUERY_FIELDS]
    rows = {row.id: tuple(row) for row in in_parts(connection, select(*columns), QUERIES.c.id, ids)}
    return {id_: (*rows[id_], *mine) for id_, mine in digests_of(connection, list(rows)).items()}


def _another(id_: str) -> BadInput:
    return BadInput(
        f"query {id_!r} is in the store already and is another there; an id names one query: use a store of their own"
    )


def _answer_to_row(preference: Preference, scope: Scope) -> dict[str, Any]:
    query = preference.query
    text = answer_text(preference.answer, kind=query.kind, options=len(query.options), query_id=query.id)
    return answer_row(
        query_id=scope.key(query.id),
        who=preference.teacher,
        answer=text,
        shown_at=preference.shown_at,
        answered_at=preference.answered_at,
    )
