import os
import re
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from safetensors.numpy import load
from sqlalchemy import create_engine, inspect

from rlhf_gym.contracts import example_queries
from rlhf_gym.kinds.made import origin_from_json
from rlhf_gym.preferences import QUERY_FIELDS, Answer
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.rows import query_to_row
from rlhf_gym.store.schema import QUERIES


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
        ("UPDATE rlhf_gym_meta SET value = '6'", "version 6"),
        ("UPDATE rlhf_gym_meta SET value = 'x'", "version x"),
        ("DELETE FROM rlhf_gym_meta", "version None"),
    ],
)
def test_another_version_of_the_tables_is_refused(tmp_path, change, found):
    path = tmp_path / "preferences.db"
    PreferenceStore(path).close()
    run_sql(path, change)
    assert f"{path} has {found} of the tables and this rlhf_gym reads 5; use the rlhf_gym that wrote it" in refusal(
        path
    )


EARLIER = Path(__file__).parents[1] / "data" / "earlier"
"""Databases that versions 1 to 3 wrote."""


@pytest.fixture(params=[1, 2, 3])
def version(request):
    return request.param


@pytest.fixture(params=["file", "postgresql"])
def earlier(request, version, tmp_path):
    """URL of a database that an earlier version wrote."""
    if request.param == "file":
        return as_url(shutil.copy(EARLIER / f"version_{version}.db", tmp_path / "preferences.db"))
    url = request.getfixturevalue("postgresql_url")
    copy_to_server(EARLIER / f"version_{version}.db", url)
    return url


def as_url(path):
    return f"sqlite:///{path}"


SERVER_TYPES = {"BLOB": "BYTEA", "DOUBLE": "DOUBLE PRECISION"}


def copy_to_server(path, url):
    """A database of SQLite on a server, as that version of the code would have made it there."""
    engine = create_engine(url)
    with closing(sqlite3.connect(path)) as file, engine.begin() as server:
        tables = file.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, rowid")
        for name, sql in tables.fetchall():
            sql = sql.replace("number INTEGER", "number BIGSERIAL")
            server.exec_driver_sql(re.sub("BLOB|DOUBLE", lambda found: SERVER_TYPES[found[0]], sql))
            if not sql.startswith("CREATE TABLE"):
                continue
            columns = [(row[1], row[2]) for row in file.execute(f"PRAGMA table_info({name})")]
            names, places = ", ".join(c for c, _ in columns), ", ".join(["%s"] * len(columns))
            for row in file.execute(f"SELECT {names} FROM {name}").fetchall():
                values = [bool(v) if kind == "BOOLEAN" else v for v, (_, kind) in zip(row, columns, strict=True)]
                server.exec_driver_sql(f"INSERT INTO {name} ({names}) VALUES ({places})", tuple(values))
            if columns[0][0] == "number":
                server.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{name}', 'number'), max(number)) FROM {name}"
                )
    engine.dispose()


def earlier_rows(version, table):
    with closing(sqlite3.connect(EARLIER / f"version_{version}.db")) as file:
        file.row_factory = sqlite3.Row
        return [dict(row) for row in file.execute(f"SELECT * FROM {table} ORDER BY 1")]


def test_the_queries_of_an_earlier_version_come_back_bit_for_bit(earlier, version):
    with PreferenceStore(earlier) as store:
        rows = earlier_rows(version, "queries")
        for query, row in zip(store.queries([row["id"] for row in rows]), rows, strict=True):
            fields = ("id", "why", "value", "policy_step", "reward_version")
            kept = {name: row[name] for name in fields} | {"kind": "comparison", "repeats": row.get("repeats")}
            assert query_to_row(query) == kept
            for segment, side in zip(query.options, ("left", "right"), strict=True):
                arrays = load(row[f"{side}_arrays"])
                assert {name: getattr(segment, name).tobytes() for name in arrays} == {
                    name: array.tobytes() for name, array in arrays.items()
                }
                assert all(getattr(segment, name).dtype == array.dtype for name, array in arrays.items())
                assert (segment.length, segment.terminated) == (row["length"], bool(row[f"{side}_terminated"]))
                origin = row[f"{side}_origin"]
                assert segment.origin == (None if origin is None else origin_from_json(origin))
            assert store.wanted(query.id) == row.get("people", 1)


def test_the_answers_of_an_earlier_version_stand_as_they_stood(earlier, version):
    with PreferenceStore(earlier) as store:
        said = [(p.query.id, p.answer, p.teacher) for p in store.preferences()]
        assert sorted(said[:4], key=lambda one: one[0]) == [
            ("0-0", Answer.RIGHT, "ann"),
            ("0-1", Answer.TIE, "ann"),
            ("0-2", Answer.SKIP, "bob"),
            ("1-0", Answer.RIGHT, "bob"),
        ]
        given = [(g.query_id, g.who, g.answer and g.answer.value, g.shown_at, g.answered_at) for g in store.history()]
        columns = ("query_id", "who", "answer", "shown_at", "answered_at")
        assert given == [tuple(row[name] for name in columns) for row in earlier_rows(version, "answers")]
        assert [one.number for one in store.answers_since()] == [r["number"] for r in earlier_rows(version, "answers")]
        dropped = {row["query_id"] for row in earlier_rows(version, "dropped")} if version > 1 else set()
        assert dropped == ({"0-4"} if version > 1 else set()) and not dropped & set(store.open_ids())
    with PreferenceStore(earlier) as store:  # it isn't moved a second time
        assert [(p.query.id, p.answer, p.teacher) for p in store.preferences()] == said


def test_work_goes_on_in_a_database_of_an_earlier_version(earlier, version):
    with PreferenceStore(earlier) as store:
        last, waiting = store.answers_since()[-1].number, store.open_ids()
        store.post(example_queries(2, seed=7), people=2)
        assert store.open_ids() == [*waiting, "7-0", "7-1"]
        [given] = store.claim("cid")
        store.record(given.id, Answer.LEFT, teacher="cid")
        store.record("7-1", Answer.LEFT, teacher="cid")
        assert [one.number for one in store.answers_since(last)] == [last + 1, last + 2]
        assert store.drop(waiting) >= 1
    with pytest.raises(ValueError, match="was posted before"), PreferenceStore(earlier) as store:
        store.post(example_queries(1, seed=7))


def test_stores_opened_at_once_on_a_database_of_an_earlier_version_move_it_once(earlier, version):
    assert open_eight_at_once(earlier) == []
    with PreferenceStore(earlier) as store:
        assert len(store.history()) == len(earlier_rows(version, "answers"))
        assert store.counts().asked == len(earlier_rows(version, "queries"))


def test_an_interrupted_move_leaves_the_earlier_version_whole(earlier, version, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = everything_in(earlier)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("rlhf_gym.store.earlier._count_on", interrupted)  # the last thing but one
        PreferenceStore(earlier)
    assert everything_in(earlier) == before
    with PreferenceStore(earlier) as store:
        assert len(store.history()) == len(earlier_rows(version, "answers"))


def everything_in(url):
    """Every row of every table."""
    engine = create_engine(url)
    with engine.connect() as connection:
        names = sorted(inspect(connection).get_table_names())
        rows = {name: connection.exec_driver_sql(f"SELECT * FROM {name} ORDER BY 1").all() for name in names}
    engine.dispose()
    return rows


def test_a_segment_of_an_earlier_version_that_appears_twice_is_stored_once(tmp_path):
    path = shutil.copy(EARLIER / "version_3.db", tmp_path / "preferences.db")
    sides = ("arrays", "terminated", "origin")
    run_sql(path, f"UPDATE queries SET {', '.join(f'right_{name} = left_{name}' for name in sides)}")
    queries = len(earlier_rows(3, "queries"))
    with PreferenceStore(path) as store:
        assert all(query.left is query.right for query in store.pending())
    with closing(sqlite3.connect(path)) as connection:
        counted = [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("segments", "options")]
    assert counted == [queries, 2 * queries]


def test_damaged_arrays_of_an_earlier_version_are_refused_and_left_alone(tmp_path):
    path = shutil.copy(EARLIER / "version_3.db", tmp_path / "preferences.db")
    run_sql(path, "UPDATE queries SET left_arrays = x'00' WHERE number = 2")
    before = everything_in(as_url(path))
    assert "preferences.db is damaged: " in refusal(path)
    assert everything_in(as_url(path)) == before


def test_columns_of_a_query_are_its_fields():
    assert set(QUERIES.c.keys()) == {*QUERY_FIELDS, "number", "posted_at", "people", "run"}


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
    run_sql(path, "UPDATE segments SET arrays = x'00'")
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
        (
            "preferences.db",
            "is 'preferences.db'; expected a database URL such as sqlite:///answers.db, or in Python a Path",
        ),
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
    assert settings == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000, "synchronous": 2}


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
