"""Several runs in one database: each sees its own queries and answers, and people answer all of them."""

import shutil
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert, inspect

from rlhf_gym.contracts import STORE_RULES, example_queries, same_query
from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Answer
from rlhf_gym.store import FIRST, PreferenceStore, StoredRun, UnknownQuery, UnknownRun
from rlhf_gym.store.elsewhere import preferences_at
from rlhf_gym.store.schema import TABLES
from tests.store.test_one_trainer import train_alone_in_time

A, B = StoredRun("a", "CartPole-v1", labels=3), StoredRun("b", "Pendulum-v1", labels=5, instructions="swing")


@pytest.fixture(params=["file", "postgresql"])
def url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    return f"sqlite:///{tmp_path / 'preferences.db'}"


@pytest.fixture
def stores(url):
    """Those of runs a and b, and one that shows both."""
    with ExitStack() as stack:
        yield [stack.enter_context(PreferenceStore(url, run=run)) for run in (A, B, None)]


@pytest.mark.parametrize("rule", STORE_RULES)
def test_a_run_beside_another_keeps_the_contract_though_both_drew_the_same_ids(tmp_path, rule):
    with PreferenceStore(tmp_path / "p.db", run=A) as other:
        for kind, people in (("comparison", 1), ("ranking", 2)):
            other.post(example_queries(8, kind=kind, seed=len(kind)), people=people)
        other.post(example_queries(12))
        other.record("0-3", Answer.TIE, teacher="ann")
        other.claim("ann", n=2)
        other.drop(["0-7"])
        before = everything(other)
        with PreferenceStore(tmp_path / "p.db", run=B) as store:
            rule(store)
        assert everything(other) == before


def everything(store):
    """All that a store tells of its run."""
    held = {id_: store.holders(id_) for id_ in store.open_ids()}
    return store.counts(), store.history(), store.open_ids(), held, store.counts_of("ann"), store.number_asked()


def test_queries_of_the_same_id_are_two_and_each_answer_goes_to_its_own_run(stores):
    a, b, both = stores
    a.post(example_queries(2))
    b.post(example_queries(2, seed=0, box=True))
    assert both.open_ids() == ["0-0", "0-1", "2:0-0", "2:0-1"]
    both.record_in_turn("2:0-0", Answer.RIGHT, person="ann")
    both.record_in_turn("0-0", Answer.LEFT, person="ann")
    assert [(p.query.id, p.answer) for p in a.preferences()] == [("0-0", Answer.LEFT)]
    assert [(p.query.id, p.answer) for p in b.preferences()] == [("0-0", Answer.RIGHT)]
    assert same_query(b.query("0-0"), example_queries(2, box=True)[0])
    assert same_query(a.query("0-0"), example_queries(2)[0])
    assert (a.counts().labels, b.counts().labels, both.counts().labels) == (1, 1, 2)
    assert [both.run_of(id_).name for id_ in both.open_ids()] == ["a", "b"]
    assert [(run.name, counts.open) for run, counts in both.counts_by_run()] == [("a", 1), ("b", 1)]


def test_a_person_gets_the_query_that_has_waited_longest_and_never_more_than_is_open(stores):
    a, b, both = stores
    b.post(example_queries(1))
    a.post(example_queries(2))
    b.post(example_queries(1, seed=1))
    assert [query.id for query in both.claim("ann", n=2)] == ["2:0-0", "0-0"]
    assert [query.id for query in both.claim("bob", n=9)] == ["0-1", "2:1-0"]
    assert [query.id for query in a.claim("ann", n=9)] == ["0-0"]
    a.release("ann")  # and what she holds of b she keeps
    assert (a.holders("0-0"), b.holders("0-0")) == (set(), {"ann"})
    both.release("ann")
    assert b.holders("0-0") == set()


def test_undoing_takes_back_what_was_said_last_in_whichever_run(stores):
    a, b, both = stores
    for store in (a, b):
        store.post(example_queries(1))
    both.record("0-0", Answer.LEFT, teacher="ann")
    both.record("2:0-0", Answer.LEFT, teacher="ann")
    assert both.last_answered("ann").query.id == "2:0-0"
    both.record("2:0-0", None, teacher="ann")
    assert (a.counts().labels, b.counts().labels, b.holders("0-0")) == (1, 0, {"ann"})


def test_a_repeat_names_the_query_of_its_own_run(stores):
    _, b, both = stores
    stores[0].post(example_queries(4))
    b.post(example_queries(4))
    assert (b.query("0-3").repeats, both.query("2:0-3").repeats) == ("0-2", "2:0-2")


def test_two_runs_may_begin_with_the_same_preferences(stores):
    a, b, both = stores
    a.post(example_queries(3))
    a.record("0-1", Answer.TIE, teacher="ann")
    there = a.preferences()
    assert [b.add(there), b.add(there), a.add(there)] == [1, 0, 0]
    assert b.preferences()[0].query is there[0].query or same_query(b.query("0-1"), there[0].query)
    assert both.counts().asked == 4


def test_a_query_of_another_run_is_unknown_whatever_its_id(stores):
    a, b, _ = stores
    b.post(example_queries(1))
    for do in (a.query, a.wanted, a.run_of, lambda id_: a.record(id_, Answer.LEFT, teacher="x"), lambda i: a.drop([i])):
        for id_ in ("0-0", "2:0-0"):
            with pytest.raises(UnknownQuery, match="not in the store"):
                do(id_)
    assert b.counts().labels == 0


def test_each_run_has_its_trainer_and_no_second_one(url):
    with PreferenceStore(url, run=A) as a, PreferenceStore(url, run=B) as b, PreferenceStore(url, run="b") as again:
        a.train_alone()
        b.train_alone()
        with pytest.raises(BadInput, match="is being trained from by"):
            again.train_alone()
        b.close()
        train_alone_in_time(again, url)


def test_where_there_are_several_runs_one_has_to_be_named(stores, url):
    a, b, both = stores
    a.post(example_queries(1))
    both.check_one_run()  # b has asked nothing
    b.post(example_queries(1))
    for store in (a, b):
        store.check_one_run()
    with pytest.raises(BadInput, match=r"has 2 runs, and none is named; name one of a, b: by --run"):
        both.check_one_run()
    with pytest.raises(BadInput, match=r"has 2 runs"):
        preferences_at(url)
    for write in (lambda: both.post(example_queries(1, seed=7)), lambda: both.add(a.preferences())):
        with pytest.raises(BadInput, match=r"has 2 runs and none was named; name one: a, b"):
            write()
    with pytest.raises(UnknownRun, match=r"run is c, and preference store .* has no such run; it has a, b"):
        PreferenceStore(url, run="c")
    with pytest.raises(BadInput, match=r"feedback.run is 'a b'; use letters"):
        PreferenceStore(url, run=StoredRun("a b"))


def test_what_people_are_shown_of_a_run_follows_its_settings(stores):
    _, b, both = stores
    b.post(example_queries(1))
    assert [(run.name, run.instructions, run.labels, run.number) for run in both.runs()] == [("b", "swing", 5, 2)]
    b.describe(StoredRun("b", labels=9, levels=("bad", "good"), draw="states"))
    assert both.runs() == [StoredRun("b", labels=9, levels=("bad", "good"), draw="states", number=2)]


def test_a_run_joins_what_was_asked_before_runs_had_names(url):
    with PreferenceStore(url) as nameless:
        nameless.post(example_queries(2))
        assert [run.name for run in nameless.runs()] == [FIRST]
        with PreferenceStore(url, run=B) as b, PreferenceStore(url, run=FIRST) as first:
            b.post(example_queries(1))
            assert (first.open_ids(), b.open_ids()) == (["0-0", "0-1"], ["0-0"])
            assert [run.name for run in nameless.runs()] == [FIRST, "b"]


VERSION_4 = Path(__file__).parents[1] / "data" / "earlier" / "version_4.db"


@pytest.fixture
def version_4(url):
    """URL of a database that version 4 wrote, which had one run."""
    if url.startswith("sqlite"):
        shutil.copy(VERSION_4, url.removeprefix("sqlite:///"))
        return url
    PreferenceStore(url).close()
    engine = create_engine(url)
    with closing(sqlite3.connect(VERSION_4)) as file, engine.begin() as server:
        file.row_factory = sqlite3.Row
        for table in TABLES.sorted_tables:
            if table.name == "runs":
                continue
            rows = [dict(row) for row in file.execute(f"SELECT * FROM {table.name}")]
            for row in rows:
                row |= {name: bool(row[name]) for name in ("terminated",) if name in row}
            server.execute(table.delete())
            if rows:
                server.execute(insert(table), rows)
            if "number" in table.c:
                server.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'number'), max(number)) FROM {table.name}"
                )
        server.exec_driver_sql("DROP TABLE runs")
        server.exec_driver_sql("ALTER TABLE queries DROP COLUMN run")
    engine.dispose()
    return url


def test_what_version_4_wrote_is_the_first_run_and_another_goes_beside_it(version_4):
    with closing(sqlite3.connect(VERSION_4)) as file:
        asked = [row[0] for row in file.execute("SELECT id FROM queries ORDER BY number")]
        said = file.execute("SELECT number, query_id, who FROM answers ORDER BY number").fetchall()
    for _ in range(2):  # it isn't moved a second time
        with PreferenceStore(version_4, run=FIRST) as store:
            assert [query.id for query in store.queries(asked)] == asked and store.number_asked() == len(asked)
            assert [(one.number, one.query_id, one.person) for one in store.answers_since()] == said
    with PreferenceStore(version_4, run=B) as b, PreferenceStore(version_4, run=FIRST) as first:
        assert b.counts().asked == 0
        b.post(example_queries(2))
        b.record("0-1", Answer.LEFT, teacher="ann")
        assert [one.query_id for one in b.answers_since(said[-1][0])] == ["0-1"]
        assert first.number_asked() == len(asked) and len(first.history()) == len(said)


def test_version_4_gets_the_tables_that_a_new_database_has(version_4, tmp_path):
    PreferenceStore(version_4).close()
    new = f"sqlite:///{tmp_path / 'new.db'}"
    PreferenceStore(new).close()
    assert described(version_4) == described(new)


def described(url):
    """Columns, with whether they may be empty, and indexes of every table."""
    engine = create_engine(url)
    there = inspect(engine)
    found = {
        name: (
            {(column["name"], column["nullable"]) for column in there.get_columns(name)},
            {index["name"] for index in there.get_indexes(name) if not index["unique"]},
        )
        for name in there.get_table_names()
    }
    engine.dispose()
    return found


def test_version_4_is_read_where_nothing_can_be_written(tmp_path, monkeypatch):
    path = Path(shutil.copy(VERSION_4, tmp_path / "preferences.db"))
    before = path.read_bytes()
    monkeypatch.setattr("rlhf_gym.store.read_only.os.access", lambda *_: False)
    for run in (FIRST, None):
        with PreferenceStore(path, run=run) as store:
            assert (store.counts().asked, len(store.preferences()), len(store.history())) == (8, 4, 7)
            assert [one.name for one in store.runs()] == [FIRST]
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["preferences.db"]


def test_a_log_that_nothing_can_be_written_beside_is_named(tmp_path, monkeypatch):
    for name in ("preferences.db", "preferences.db-wal"):
        (tmp_path / name).write_bytes(b"not empty")
    monkeypatch.setattr("rlhf_gym.store.read_only.os.access", lambda *_: False)
    with pytest.raises(ValueError, match="has a write-ahead log, .* copy both it and preferences.db-wal to another"):
        PreferenceStore(tmp_path / "preferences.db")


def test_files_beside_the_store_are_each_runs_own(stores, url):
    a, b, both = stores
    if url.startswith("postgresql"):
        assert [store.beside("judge.jsonl") for store in stores] == [None] * 3
    else:
        assert [store.beside("judge.jsonl").name for store in (a, b)] == ["judge.jsonl", "2-judge.jsonl"]
