import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from rlhf_gym.contracts import example_queries, same_query
from rlhf_gym.preferences import Answer
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.rows import query_to_row


def refusal(url):
    """The one line with which opening `url` is refused."""
    with pytest.raises(ValueError) as refused:
        PreferenceStore(url)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def run_sql(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("content", [b"not a database at all\n" * 100, b"hello", os.urandom(4096)])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "preferences.db"
    path.write_bytes(content)
    message = refusal(path)
    assert str(path) in message
    assert "file is not a database; move it away" in message
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "preferences.db"
    run_sql(path, "CREATE TABLE recipes (name TEXT)", "CREATE TABLE queries (name TEXT)")
    before = path.read_bytes()
    message = refusal(path)
    assert f"{path} is a database of something else (it holds queries, recipes)" in message
    assert "give preferences one of their own" in message
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["preferences.db"]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE rlhf_gym_meta SET value = '4'", "version 4"),
        ("UPDATE rlhf_gym_meta SET value = 'x'", "version x"),
        ("DELETE FROM rlhf_gym_meta", "version None"),
    ],
)
def test_another_version_of_the_tables_is_refused(tmp_path, change, found):
    path = tmp_path / "preferences.db"
    PreferenceStore(path).close()
    run_sql(path, change)
    assert f"{path} has {found} of the tables and this rlhf_gym reads 3; use the rlhf_gym that wrote it" in refusal(
        path
    )


VERSION_1 = """
CREATE TABLE rlhf_gym_meta (name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name));
CREATE TABLE queries (
    number INTEGER NOT NULL, id TEXT NOT NULL, why TEXT NOT NULL, value DOUBLE, policy_step BIGINT NOT NULL,
    reward_version INTEGER NOT NULL, posted_at DOUBLE NOT NULL, length INTEGER NOT NULL,
    left_arrays BLOB NOT NULL, left_terminated BOOLEAN NOT NULL, left_origin TEXT,
    right_arrays BLOB NOT NULL, right_terminated BOOLEAN NOT NULL, right_origin TEXT,
    PRIMARY KEY (number), UNIQUE (id)
);
CREATE TABLE answers (
    number INTEGER NOT NULL, query_id TEXT NOT NULL, who TEXT NOT NULL, answer TEXT, shown_at DOUBLE,
    answered_at DOUBLE NOT NULL, PRIMARY KEY (number), FOREIGN KEY(query_id) REFERENCES queries (id)
);
CREATE INDEX answers_by_query_and_person ON answers (query_id, who, number);
INSERT INTO rlhf_gym_meta VALUES ('schema_version', '1');
"""


def as_version_1_left_it(path):
    """A file of version 1 with two queries and an answer; returns the queries."""
    queries = example_queries(2)
    rows = [{"number": i, "posted_at": 10.0, **query_to_row(query)} for i, query in enumerate(queries, start=1)]
    keys = [key for key in rows[0] if key != "repeats"]
    insert = f"INSERT INTO queries ({', '.join(keys)}) VALUES ({', '.join('?' * len(keys))})"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
        connection.executemany(insert, [[row[key] for key in keys] for row in rows])
        connection.execute("INSERT INTO answers VALUES (1, '0-1', 'ann', 'left', 11.0, 12.0)")
        connection.commit()
    return queries


def content(path):
    """Every row of the two tables of version 1, whose columns all come before those of later versions."""
    with closing(sqlite3.connect(path)) as connection:
        tables = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("queries", "answers")]
    return [row[:14] for row in tables[0]] + tables[1]


def test_a_database_of_version_1_is_raised_when_opened_and_nothing_else_in_it_changes(tmp_path):
    path = tmp_path / "preferences.db"
    queries = as_version_1_left_it(path)
    before = content(path)
    with PreferenceStore(path) as store:
        assert content(path) == before
        assert [(p.query.id, p.answer, p.answered_at) for p in store.preferences()] == [("0-1", Answer.LEFT, 12.0)]
        assert same_query(store.claim("bob")[0], queries[0])
        store.release("bob")
        assert store.drop(["0-0", "0-1"]) == 1
    with PreferenceStore(path) as store:
        assert store.pending() == []
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value FROM rlhf_gym_meta").fetchall() == [("3",)]


VERSION_2 = """
ALTER TABLE queries ADD COLUMN repeats TEXT;
UPDATE queries SET repeats = 'another' WHERE id = '0-0';
UPDATE rlhf_gym_meta SET value = '2';
"""


def test_a_database_of_version_2_is_raised_and_its_queries_want_one_answer_each(tmp_path):
    path = tmp_path / "preferences.db"
    as_version_1_left_it(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_2)
    before = content(path)
    with PreferenceStore(path) as store:
        assert content(path) == before
        assert [(query.id, query.repeats) for query in store.pending()] == [("0-0", "another")]
        assert [store.wanted("0-0"), store.wanted("0-1")] == [1, 1]
        store.post(example_queries(1, seed=1), people=2)
    with PreferenceStore(path) as store:
        assert (store.wanted("1-0"), store.counts().awaited) == (2, 3)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value FROM rlhf_gym_meta").fetchall() == [("3",)]


def test_stores_opened_at_once_on_a_file_of_version_1_all_find_the_new_tables(tmp_path):
    as_version_1_left_it(tmp_path / "preferences.db")
    assert open_eight_at_once(tmp_path / "preferences.db") == []


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "preferences.db"
    with PreferenceStore(path) as store:
        store.post(example_queries(30))
    path.write_bytes(path.read_bytes()[:12_288])
    with pytest.raises(ValueError, match="preferences.db .*malformed"), PreferenceStore(path) as store:
        store.pending()


def test_damaged_arrays_are_refused(tmp_path):
    path = tmp_path / "preferences.db"
    with PreferenceStore(path) as store:
        store.post(example_queries(1))
    run_sql(path, "UPDATE queries SET left_arrays = x'00'")
    with pytest.raises(ValueError, match="preferences.db is damaged: .*restore"), PreferenceStore(path) as store:
        store.pending()


def test_an_empty_file_becomes_a_store(tmp_path):
    path = tmp_path / "preferences.db"
    path.touch()
    with PreferenceStore(path) as store:
        store.post(example_queries(1))
        assert len(store.pending()) == 1


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    path = tmp_path / "nowhere" / "preferences.db"
    message = refusal(path)
    assert str(path) in message
    assert "a folder that exists" in message


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("preferences.db", "is 'preferences.db'; expected a database URL such as sqlite:///preferences.db"),
        ("nosuchsql://me:secret@there/db", "nosuchsql://me:***@there/db"),
    ],
)
def test_an_url_that_names_no_database_is_refused_without_telling_passwords(url, message):
    assert message in refusal(url)
    assert "secret" not in refusal(url)


def test_a_driver_that_is_not_installed_is_named():
    with pytest.raises(
        ImportError, match=r"postgresql\+pg8000://me:\*\*\*@there/db needs a driver: pip install pg8000"
    ):
        PreferenceStore("postgresql+pg8000://me:secret@there/db")


def test_a_path_may_hold_any_character(tmp_path):
    path = Path(tmp_path / "50% of & what?.db")
    with PreferenceStore(path) as store:
        store.post(example_queries(1))
    assert path.exists()


def test_every_connection_is_set_up_for_readers_beside_a_writer(tmp_path):
    path = tmp_path / "preferences.db"
    with PreferenceStore(path) as store, store._engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        }
    assert settings == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30000, "synchronous": 2}


def test_answers_are_safe_from_a_power_cut_and_leases_do_not_wait_for_the_disk(tmp_path):
    with PreferenceStore(tmp_path / "preferences.db") as store:

        def synchronous():
            with store._engine.connect() as connection:
                return connection.exec_driver_sql("PRAGMA synchronous").scalar()

        store.claim("ann")
        assert synchronous() == 1  # NORMAL
        store.post(example_queries(1))
        assert synchronous() == 2  # FULL
        store.release("ann")
        assert synchronous() == 1
        store.record("0-0", Answer.LEFT, teacher="ann")
        assert synchronous() == 2


def test_stores_opened_at_once_on_a_new_file_all_find_its_tables(tmp_path):
    assert open_eight_at_once(tmp_path / "preferences.db") == []


@pytest.mark.parametrize(
    ("version", "lacks"),
    [
        ("1", ["DROP TABLE leases, dropped", "ALTER TABLE queries DROP COLUMN repeats, DROP COLUMN people"]),
        ("2", ["ALTER TABLE queries DROP COLUMN people"]),
    ],
)
def test_a_server_database_of_an_older_version_is_raised_when_opened(postgresql_url, version, lacks):
    with PreferenceStore(postgresql_url) as store:
        store.post(example_queries(2))
        store.record("0-1", Answer.LEFT, teacher="ann")
        with store._engine.begin() as connection:  # as that version had it
            for statement in (*lacks, f"UPDATE rlhf_gym_meta SET value = '{version}'"):
                connection.exec_driver_sql(statement)
    assert open_eight_at_once(postgresql_url) == []
    with PreferenceStore(postgresql_url) as store:
        assert [query.id for query in store.pending()] == ["0-0"]
        assert store.wanted("0-0") == 1


def test_stores_opened_at_once_on_an_empty_server_database_all_find_its_tables(postgresql_url):
    assert open_eight_at_once(postgresql_url) == []


def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path):
    pytest.importorskip("psycopg")
    message = refusal(f"postgresql+psycopg://me:secret@/db?host={tmp_path}")
    assert "me:***@/db" in message and "secret" not in message
    assert message.endswith("see that the server runs and has this database, or name another")


def test_a_password_that_is_missing_or_wrong_is_asked_for_where_libpq_looks(guarded_url, monkeypatch):
    PreferenceStore(guarded_url).close()
    bare = guarded_url.replace(":s3%2Fcret@", "@")
    assert "no password supplied; give the right password in PGPASSWORD or ~/.pgpass" in refusal(bare)
    wrong = refusal(f"{bare}&password=wr0ng")
    assert "password authentication failed" in wrong and wrong.endswith("in PGPASSWORD or ~/.pgpass")
    assert "wr0ng" not in wrong
    monkeypatch.setenv("PGPASSWORD", "s3/cret")
    PreferenceStore(bare).close()


def test_a_store_goes_on_after_the_server_dropped_its_connections(postgresql_url):
    with PreferenceStore(postgresql_url) as store:
        store.post(example_queries(1))
        with store._engine.connect() as connection:
            mine = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        other = create_engine(postgresql_url)
        with other.connect() as connection:
            assert connection.exec_driver_sql(f"SELECT pg_terminate_backend({mine})").scalar()
        other.dispose()
        assert [query.id for query in store.claim("ann")] == ["0-0"]


def open_eight_at_once(url):
    """What went wrong."""
    together, failures = threading.Barrier(8), []

    def open_it():
        together.wait()
        try:
            with PreferenceStore(url) as store:
                store.claim("ann")
        except Exception as error:
            failures.append(error)

    openers = [threading.Thread(target=open_it) for _ in range(8)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    return failures
