"""What is new costs what is new, however much was asked and answered before."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from rlhf_gym.contracts.examples import example_queries
from rlhf_gym.preferences import Answer
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.runs import StoredRun

READS: dict[str, Callable[[PreferenceStore], object]] = {
    "answers since": lambda store: store.answers_since(3),
    "counts": lambda store: store.counts(),
    "each preference": lambda store: list(store.each_preference(2)),
}


@pytest.mark.parametrize("read", READS.values(), ids=list(READS))
def test_a_few_new_answers_are_found_by_their_numbers(
    read: Callable[[PreferenceStore], object], tmp_path: Path
) -> None:
    """In SQLite's own words: no statement about answers goes through the queries of a run."""
    asked = example_queries(6)
    with closing(PreferenceStore(tmp_path / "some.db", run=StoredRun("mine"))) as store:
        store.post(asked)
        store.record_all([query.id for query in asked[:4]], [Answer.LEFT] * 4, teacher="oracle")
        store.counts()
        store.record_all([asked[4].id], [Answer.LEFT], teacher="oracle")
        said: list[tuple[str, object]] = []

        def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
            said.append((statement, parameters))

        event.listen(Engine, "before_cursor_execute", note)
        try:
            read(store)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
    about = [(statement, given) for statement, given in said if "answers.number > ?" in statement]
    assert about
    with closing(sqlite3.connect(tmp_path / "some.db")) as database:
        for statement, given in about:
            plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", given)]
            assert not any("queries_by_run" in step for step in plan), plan
