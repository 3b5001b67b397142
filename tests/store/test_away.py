"""A database that can't be used for a while: locked by another program, full, or its connections gone."""

import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from rlhf_gym.contracts import example_queries
from rlhf_gym.preferences import Answer
from rlhf_gym.store import PreferenceStore, Unusable, transactions


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Of a store whose connections wait for no lock by themselves, and say at once that they do."""
    monkeypatch.setattr("rlhf_gym.store.patience.SAID_AFTER", 0.0)
    with PreferenceStore(tmp_path / "preferences.db") as store:
        store.post(example_queries(3))
    return tmp_path / "preferences.db"


def hasty(path, **how):
    store = PreferenceStore(path, **how)
    with store._engine.connect() as connection:  # the one that the pool will hand out
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
    return store


@contextmanager
def locked(path):
    """Have another program keep the file."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_an_answer_waits_for_a_lock_of_another_program_with_a_word(path, caplog):
    with hasty(path) as store, locked(path) as other:
        said = threading.Event()
        caplog.handler.emit = lambda record, emit=caplog.handler.emit: (emit(record), said.set())
        answering = threading.Thread(target=store.record, args=("0-0", Answer.LEFT), kwargs={"teacher": "ann"})
        answering.start()
        assert said.wait(30)  # while the lock is on
        assert store.standing("0-0") == {}
        other.execute("COMMIT")
        answering.join(30)
        assert store.standing("0-0") == {"ann": Answer.LEFT} and len(store.history()) == 1
    waits, back = caplog.messages
    assert f"preference store {path} can't be written to since " in waits and "database is locked" in waits
    assert "it is waited for, for at most 10 minutes" in waits and f"{path} can be written to again" in back


def test_less_than_a_minute_of_patience_is_told_in_seconds(path, caplog):
    with hasty(path, patience=0.2) as store, locked(path), pytest.raises(Unusable):
        store.record("0-0", Answer.LEFT, teacher="ann")
    assert "it is waited for, for at most 0.2 s" in caplog.messages[0]


def test_patience_ends_in_one_line_and_work_goes_on_when_the_lock_does(path):
    with hasty(path, patience=0.0) as store:
        with locked(path):
            for _ in range(2):
                with pytest.raises(
                    Unusable, match=r"can't be written to since .*locked; what was answered is kept"
                ) as no:
                    store.record("0-0", Answer.LEFT, teacher="ann")
                assert "\n" not in str(no.value) and "rlhf-gym resume DIR" in str(no.value)
            assert len(store.pending()) == 3  # reading goes on beside it
        store.record("0-0", Answer.LEFT, teacher="ann")
        assert store.counts().labels == 1


def test_a_full_disk_is_waited_for(path):
    with hasty(path, patience=0.0) as store:
        with store._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=1")
        with pytest.raises(Unusable, match="full"):
            store.post(example_queries(200, seed=1))
        with store._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=1000000")
        store.post(example_queries(200, seed=1))
        assert store.counts().asked == 203


def test_a_store_that_can_only_be_read_says_so_at_once(path):
    with PreferenceStore(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        assert len(store.pending()) == 3
        for write in (lambda: store.claim("ann"), lambda: store.record("0-0", Answer.LEFT, teacher="ann")):
            with pytest.raises(
                Unusable, match=r"can't be written to: .*readonly database; let it and its folder be"
            ) as no:
                write()
            assert str(path) in str(no.value) and "\n" not in str(no.value)


def test_a_server_that_can_only_be_read_says_so_at_once(postgresql_url):
    with PreferenceStore(postgresql_url) as store:
        store.post(example_queries(3))
    with PreferenceStore(f"{postgresql_url}&options=-cdefault_transaction_read_only%3Don") as store:
        assert len(store.pending()) == 3 and store.counts().asked == 3
        for write in (lambda: store.claim("ann"), lambda: store.record("0-0", Answer.LEFT, teacher="ann")):
            with pytest.raises(
                Unusable, match=r"can't be written to: .*read-only transaction; let it be written to, or"
            ) as no:
                write()
            assert "\n" not in str(no.value)


@pytest.fixture
def lossy(monkeypatch):
    """Have each first commit's reply be lost: it is done, and an error comes."""
    real, told = transactions.writing_alone, []

    @contextmanager
    def writing_alone(engine, **how):
        with real(engine, **how) as connection:
            yield connection
        told.append(engine)
        if len(told) % 2:
            error = OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))
            error.connection_invalidated = True
            raise error

    monkeypatch.setattr(transactions, "writing_alone", writing_alone)
    return told


@pytest.mark.parametrize("where", ["file", "postgresql"])
def test_what_a_commit_wrote_whose_reply_was_lost_is_known_again(where, request, tmp_path, lossy):
    url = tmp_path / "preferences.db" if where == "file" else request.getfixturevalue("postgresql_url")
    with PreferenceStore(url) as store:
        store.post(example_queries(4))
        store.record("0-0", Answer.LEFT, teacher="ann", shown_at=3.5)
        store.record_all(["0-1", "0-2"], [Answer.TIE, Answer.SKIP], teacher="bob")
        store.record("0-0", None, teacher="ann")
        store.record_in_turn("0-3", Answer.LEFT, person="cid")
        store.claim("dan", n=2)
        store.drop(["0-0"])
        said = [(given.query_id, given.who, given.answer) for given in store.history()]
    assert said == [
        ("0-0", "ann", Answer.LEFT),
        ("0-1", "bob", Answer.TIE),
        ("0-2", "bob", Answer.SKIP),
        ("0-0", "ann", None),
        ("0-3", "cid", Answer.LEFT),
    ]
    assert len(lossy) == 14  # each of seven was tried twice


def test_nothing_is_lost_or_doubled_while_a_server_drops_every_connection(postgresql_url):
    other = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
    with PreferenceStore(postgresql_url) as trainer, PreferenceStore(postgresql_url) as page, other.connect() as server:
        trainer.train_alone()

        def drop():
            for _ in range(12):  # not for ever, or on a busy machine nothing would come to its end in between
                server.exec_driver_sql(kill)
                time.sleep(0.05)

        dropping = threading.Thread(target=drop)
        dropping.start()
        for seed in range(8):
            trainer.post(example_queries(2, seed=seed))
            for query in page.claim("ann", n=2):
                page.record_in_turn(query.id, Answer.LEFT, person="ann")
        dropping.join()
        assert [given.query_id for given in page.history()] == [f"{seed}-{i}" for seed in range(8) for i in range(2)]
        assert trainer.counts().labels == 16
    other.dispose()
