"""Taking preferences over into a store from elsewhere: functions on a connection that writes alone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, insert, select

from rlhf_gym.preferences import Answer, Preference
from rlhf_gym.store.answers import stands
from rlhf_gym.store.rows import query_to_row, row_to_query
from rlhf_gym.store.schema import ANSWERS, QUERIES

_AT_ONCE = 500  # ids that one statement asks for: databases have their limits


def add(connection: Connection, preferences: Sequence[Preference]) -> int:
    """Write those that aren't there yet; see `PreferenceStore.add`."""
    ids = list(dict.fromkeys(preference.query.id for preference in preferences))
    queries = {row.id: query_to_row(row_to_query(row)) for row in _rows(connection, select(QUERIES), ids)}
    answers = {(row.query_id, row.who): row._asdict() for row in _rows(connection, _STANDING, ids)}
    new_queries, new_answers, now = [], [], time.time()
    for preference in preferences:
        query, answer = query_to_row(preference.query), _answer_to_row(preference)
        if query["id"] not in queries:
            queries[query["id"]] = query
            new_queries.append({**query, "posted_at": now})
        elif repr(queries[query["id"]]) != repr(query):  # NaN is itself here
            raise ValueError(
                f"query {query['id']!r} is in the store already and is another there; an id names one query: "
                f"use a store of their own"
            )
        key = (answer["query_id"], answer["who"])
        if key not in answers:
            answers[key] = {**answer, "answered_at": now if answer["answered_at"] is None else answer["answered_at"]}
            new_answers.append(answers[key])
        elif changed := [name for name in answer if answer[name] not in (answers[key][name], None)]:
            raise ValueError(
                f"{changed[0]} of {key[1]!r} to query {key[0]!r} is {answers[key][changed[0]]!r} in the store and "
                f"{answer[changed[0]]!r} in what is to be added; keep one of the two"
            )
    for table, rows in ((QUERIES, new_queries), (ANSWERS, new_answers)):
        if rows:
            connection.execute(insert(table), rows)
    return len(new_answers)


_STANDING = select(*(ANSWERS.c[name] for name in ("query_id", "who", "answer", "shown_at", "answered_at"))).where(
    stands()
)


def _rows(connection: Connection, statement: Select[Any], ids: Sequence[str]) -> Iterator[Row[Any]]:
    """Rows about these queries."""
    [column] = [column for column in statement.selected_columns if column.key in ("id", "query_id")]
    for start in range(0, len(ids), _AT_ONCE):
        yield from connection.execute(statement.where(column.in_(ids[start : start + _AT_ONCE])))


def _answer_to_row(preference: Preference) -> dict[str, Any]:
    said = {
        "answer": Answer(preference.answer).value,
        "shown_at": preference.shown_at,
        "answered_at": preference.answered_at,
    }
    return {"query_id": preference.query.id, "who": preference.teacher, **said}
