"""Rows that no rlhf_gym wrote: one line says which, and nothing else fails."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Answer
from rlhf_gym.store import PreferenceStore

ROWS = [
    ("UPDATE answers SET answer = 'sideways'", "answer 1 can't be read"),
    ("UPDATE answers SET answer = x'ff00'", "answer 1 can't be read"),
    ("UPDATE answers SET answered_at = 'noon'", "answer 1 can't be read"),
    ("UPDATE answers SET shown_at = 'x'", "answer 1 can't be read"),
    ("UPDATE answers SET who = CAST(x'ff' AS TEXT)", "Could not decode"),
    ("UPDATE queries SET kind = 'nobodys'", "query '0-0' can't be read"),
    ("UPDATE queries SET value = 'abc'", "query '0-0' can't be read"),
    ("UPDATE queries SET policy_step = 'abc'", "query '0-0' can't be read"),
    ("UPDATE queries SET people = 'abc'", "can't be"),
    ("UPDATE queries SET people = 9223372036854775807", "integer overflow"),
    ("DELETE FROM options", "query '0-0' can't be read"),
    ("DELETE FROM options WHERE place = 1", "query '0-0' can't be read"),
    ("DELETE FROM segments", "query '0-0' can't be read"),
    ("UPDATE segments SET arrays = zeroblob(100)", "segment '"),
    ("UPDATE segments SET length = -1", "segment '"),
    ("UPDATE segments SET length = 'x'", "segment '"),
    ("UPDATE segments SET origin = '[]'", "segment '"),
    ("DROP TABLE answers", "no such table"),
    ("ALTER TABLE answers DROP COLUMN shown_at", "no such column"),
]
CALLS = [
    lambda store: store.preferences(),
    lambda store: store.history(),
    lambda store: store.answers_since(),
    lambda store: store.counts(),
    lambda store: store.counts_of("ann"),
    lambda store: store.pending(),
    lambda store: store.claim("zed"),
    lambda store: store.record_in_turn("0-2", Answer.LEFT, person="zed"),
    lambda store: store.query("0-0"),
    lambda store: store.standing("0-0"),
    lambda store: store.last_answered("ann"),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "preferences.db"
    with PreferenceStore(path) as store:
        store.post(example_queries(3))
        store.record("0-0", Answer.LEFT, teacher="ann", shown_at=1.0, answered_at=2.0)
    return path


@pytest.mark.parametrize(("change", "told"), ROWS)
def test_a_row_that_can_not_be_read_is_told_in_one_line(sound, tmp_path, change, told):
    path = shutil.copy(sound, tmp_path / "preferences.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    said = []
    with PreferenceStore(path) as store:
        for call in CALLS:
            try:
                call(store)
            except BadInput as error:  # any other fails the test
                said.append(str(error))
    assert any(f"preference store {path} is damaged: " in line and told in line for line in said)
    assert not any("\n" in line for line in said)


@pytest.mark.parametrize(
    ("do", "told"),
    [
        (lambda store, query: store.post([replace(query, policy_step=2**70)]), "policy_step of query '0-0' is 118059"),
        (lambda store, query: store.post([replace(query, id="a\ud800")]), r"id of query .* expected whole characters"),
        (lambda store, query: store.post([replace(query, id="a\0")]), "expected whole characters other than NUL"),
        (lambda store, query: store.claim("x\udcff"), "person is 'x.udcff'; expected whole characters"),
        (lambda store, query: store.query("\ud800"), "expected whole characters"),
        (lambda store, query: store.record("\ud800", Answer.LEFT, teacher="x"), "expected whole characters"),
    ],
)
def test_what_no_database_holds_is_refused_before_it_gets_there(do, told):
    with PreferenceStore() as store, pytest.raises(BadInput, match=told):
        do(store, example_queries(1)[0])


def test_names_and_times_of_an_answer_are_checked():
    with PreferenceStore() as store:
        store.post(example_queries(1))
        for wrong in ({"teacher": "x\ud800"}, {"teacher": "x", "answered_at": float("nan")}):
            with pytest.raises(BadInput, match="expected"):
                store.record("0-0", Answer.LEFT, **wrong)
        assert store.history() == []
