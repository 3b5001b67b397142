"""Opening the database under the preference store."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from rlhf_gym.errors import BadInput
from rlhf_gym.store.earlier import EARLIER, move_over
from rlhf_gym.store.packing import Damaged
from rlhf_gym.store.patience import PATIENCE, Patience, may_pass_at_first, reason
from rlhf_gym.store.read_only import only_to_read
from rlhf_gym.store.schema import META, SCHEMA_VERSION, TABLES

_ALONE = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(1706)"}
_DAMAGE = (DatabaseError, SafetensorError, Damaged)
_OF_DAMAGE = ("Could not decode", "no such table", "no such column", "integer overflow", "does not exist")
_NO_FILE = (None, "", ":memory:")
# A server that vanishes is noticed within half a minute, by timeouts of libpq and the system.
_NOTICED = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
_VERSION = select(META.c.value).where(META.c.name == "schema_version")


def open_database(url: str | Path, *, patience: float = PATIENCE) -> Engine:
    """Connect to a database of preferences; create its tables if it is empty, or migrate those of an older version.

    Args:
        url: Database URL as SQLAlchemy reads it, or the path of an SQLite file.
        patience: Seconds to wait for a file that another program has locked, or a server that is starting.

    Raises:
        BadInput: If it can't be opened, is no database, belongs to something else, or is of an unknown version.
        ImportError: If the URL's driver isn't installed.
    """
    engine = _engine(url)
    try:
        opening = Patience(place(engine), patience, what="opened")
        opening.until_done(lambda _: _make_or_check(engine), partial(may_pass_at_first, engine))
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        raise BadInput(
            f"preference store {place(engine)} can't be opened: {reason(error)}; {_remedy(engine, reason(error))}"
        ) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def damage_explained(engine: Engine) -> Iterator[None]:
    """Turn the error of a damaged file into one line that names it."""
    try:
        yield
    except (DatabaseError, SafetensorError, Damaged) as error:
        # Subclasses mean locks, a full disk or broken constraints, unless the message has words of _OF_DAMAGE.
        if type(error) not in _DAMAGE and not any(words in str(error) for words in _OF_DAMAGE):
            raise
        raise BadInput(
            f"preference store {place(engine)} is damaged: {reason(error)}; restore it from a copy, or move it away"
        ) from error


@contextmanager
def at_one_moment(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction that reads, and doesn't see what others write meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        elif engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def writing_alone(engine: Engine, *, lasting: bool = True) -> Iterator[Connection]:
    """Begin a transaction that makes other writers wait, and commit it at the end.

    So what it reads is still true when it writes, and rows become visible in the order of their numbers.

    Args:
        engine: From :func:`open_database`.
        lasting: Whether to wait until the commit is safe from a power cut; False saves some 4 ms on a disk.
    """
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite:  # can't be changed within a transaction, and holds for the connection from now on
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if lasting else 'NORMAL'}")
        if engine.dialect.name in _ALONE:
            connection.exec_driver_sql(_ALONE[engine.dialect.name])
        if not sqlite and not lasting:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        yield connection
        connection.commit()


_PACKAGES = {"MySQLdb": "mysqlclient"}  # by module, where the package has another name


def _engine(url: str | Path) -> Engine:
    place = _url(url)
    try:
        engine = create_engine(place, **_options(place))
    except ImportError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        raise ImportError(f"preference store {place!r} needs a driver: pip install {package}") from error
    except ArgumentError as error:
        raise BadInput(f"preference store is {place!r}: {reason(error)}; use sqlite or postgresql+psycopg") from error
    set_up = {"sqlite": _set_up_sqlite, "postgresql": _set_up_postgresql}
    if engine.dialect.name in set_up:
        event.listen(engine, "connect", set_up[engine.dialect.name])
    return engine


def _url(url: str | Path) -> URL:
    if isinstance(url, Path):
        return URL.create("sqlite", database=str(url))
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # a port that is no number is a ValueError
        shown = re.sub("://.*@", "://***@", url)  # where the password ends isn't known
        raise BadInput(
            f"preference store is {shown!r}; expected a database URL such as sqlite:///answers.db, or in Python a Path"
        ) from error


def _options(place: URL) -> dict[str, Any]:
    if place.get_backend_name() != "sqlite":
        noticed = {name: value for name, value in _NOTICED.items() if name not in place.query}
        by_libpq = place.get_driver_name() in ("psycopg", "psycopg2")
        return {"pool_pre_ping": True, "connect_args": noticed if by_libpq else {}}  # a server may have been restarted
    if place.database not in _NO_FILE:
        return only_to_read(str(place.database))
    # A second connection would see a second, empty database, so threads take turns with one.
    return {
        "poolclass": QueuePool,
        "pool_size": 1,
        "max_overflow": 0,
        "connect_args": {"check_same_thread": False},
    }


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    """Set up each connection to SQLite."""
    try:
        # FULL: a committed answer survives a power cut, too. It costs a commit about 4 ms on a disk (NORMAL: 0.01 ms),
        # which a person doesn't feel, and a run of 40 commits spends 0.2 s on it.
        for setting in ("foreign_keys=ON", "busy_timeout=5000", "synchronous=FULL"):
            connection.execute(f"PRAGMA {setting}").close()
    except sqlite3.Error:  # it is no database, and nothing else would close the connection
        connection.close()
        raise


def _set_up_postgresql(connection: Any, _: object) -> None:
    """Set up each connection to PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")  # like SQLite's, so that the wait is reported
        cursor.execute("SET idle_in_transaction_session_timeout = '60s'")  # a stopped process keeps no lock
    connection.commit()


def _make_or_check(engine: Engine) -> None:
    tables = _tables(engine)
    if not tables:
        _make(engine)
    elif META.name not in tables:
        raise BadInput(
            f"preference store {place(engine)} is a database of something else (it holds {', '.join(tables[:3])}); "
            f"give preferences one of their own"
        )
    version = _version(engine)
    if version in EARLIER:
        with damage_explained(engine):
            _make(engine)
        version = _version(engine)
    if version != str(SCHEMA_VERSION):
        raise BadInput(
            f"preference store {place(engine)} has version {version} of the tables and this rlhf_gym reads "
            f"{SCHEMA_VERSION}; use the rlhf_gym that wrote it, or name another store"
        )
    if engine.dialect.name == "sqlite":
        # Lets people answer while the trainer reads. It is a property of the file; if the file is in use just now,
        # everything works without it, and the next process to open the file sets it.
        with suppress(OperationalError), engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")


def _tables(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return inspect(connection).get_table_names()


def _version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return connection.scalar(_VERSION)


def _make(engine: Engine) -> None:
    """Create or migrate the tables; of two processes at once, the second waits and finds it done."""
    with writing_alone(engine) as connection:
        if not inspect(connection).has_table(META.name):
            TABLES.create_all(connection)
            connection.execute(insert(META).values(name="schema_version", value=str(SCHEMA_VERSION)))
        elif connection.scalar(_VERSION) in EARLIER:
            move_over(connection)


def place(engine: Engine) -> str:
    """Name the database: path of the file, or URL without its password."""
    url = engine.url
    if engine.dialect.name == "sqlite":
        return str(url.database)
    return url.difference_update_query(["password", "sslpassword"]).render_as_string(hide_password=True)


def in_memory(engine: Engine) -> bool:
    """Test whether the database is in memory, where only this process can reach it."""
    return engine.dialect.name == "sqlite" and engine.url.database in _NO_FILE


def _remedy(engine: Engine, reason: str) -> str:
    if engine.dialect.name == "sqlite":
        return "move it away, or name another in a folder that exists and can be written"
    if "no password supplied" in reason or "password authentication failed" in reason:
        return "give the right password in PGPASSWORD or ~/.pgpass"
    return "see that the server runs and has this database, or name another"
