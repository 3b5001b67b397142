"""A lock that lets one trainer at a time use a run of a store; it is released however its holder ends."""

from __future__ import annotations

import os
import socket
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from rlhf_gym.errors import BadInput
from rlhf_gym.store.database import in_memory, place

try:
    import fcntl
except ImportError:  # Windows has no advisory locks: there, don't train from one file in two processes at once
    fcntl = None  # type: ignore[assignment]

_SPACE = 1706
_PAUSE = 0.05
_TAKE = text("SELECT pg_try_advisory_lock(:space, :trainer)")
_HOLDER = text(
    "SELECT activity.pid, coalesce(host(activity.client_addr), 'the server''s own machine') AS host "
    "FROM pg_locks AS locks JOIN pg_stat_activity AS activity ON activity.pid = locks.pid "
    "WHERE locks.locktype = 'advisory' AND locks.granted AND locks.classid = :space AND locks.objid = :trainer "
    "AND locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_END = text("SELECT pg_terminate_backend(:pid)")


@final
class TrainerLock:
    """Keeps other trainers off a run in a store until it is closed, or this process ends in any way.

    On a server the lock lasts as long as its connection; if that is lost, it is acquired again before the next write.
    For an SQLite file, `NAME-trainer` beside it is locked, or `NAME-trainer-2` for the second run.

    Args:
        engine: The store's engine.
        run: Number of the run.

    Raises:
        BadInput: If another trainer holds the lock.
    """

    def __init__(self, engine: Engine, *, run: int = 1) -> None:
        self._engine, self._pid = engine, 0
        self._keys = {"space": _SPACE, "trainer": run}
        self._connection: Connection | None = None
        self._close: Callable[[], object] = _nothing
        if engine.dialect.name == "postgresql":
            self._take_on_server()
        elif engine.dialect.name == "sqlite" and not in_memory(engine) and fcntl is not None:
            self._take_beside(Path(f"{place(engine)}-trainer{'' if run == 1 else f'-{run}'}"))

    def check(self) -> None:
        """Check that the lock is still held, and acquire it again if its connection was lost.

        Raises:
            BadInput: If another trainer has it now.
            DBAPIError: If the server can't be reached.
        """
        if self._engine.dialect.name != "postgresql":
            return
        if self._connection is not None:
            try:
                self._connection.execute(text("SELECT 1"))
                return
            except DBAPIError:
                self._close()
                self._connection = None
        self._take_on_server()

    def close(self) -> None:
        """Release the lock; harmless if done twice."""
        self._close()

    def _take_on_server(self) -> None:
        connection: Connection | None = None
        try:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()  # the pool neither counts nor reuses it, so closing it ends it
            while not connection.scalar(_TAKE, self._keys):
                holder = connection.execute(_HOLDER, self._keys).first()
                if holder is None:
                    time.sleep(_PAUSE)  # the lock was just released, or its holder is about to be known
                    continue
                if holder.pid != self._pid:
                    raise _held(self._engine, f"process {holder.pid} of the server, from {holder.host}")
                connection.execute(_END, {"pid": holder.pid})  # our own lost one, which the server believes alive
            self._pid = int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        self._connection = connection
        self._close = weakref.finalize(self, _closed, connection)

    def _take_beside(self, path: Path) -> None:
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.read(handle, 200).decode(errors="replace").strip()
                os.close(handle)
                raise _held(self._engine, holder or "another process") from error
            except OSError:  # some network file systems lock nothing
                pass
            if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
                break
            os.close(handle)  # the previous holder removed the file meanwhile
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        self._close = weakref.finalize(self, _removed, path, handle)


def _nothing() -> None:
    """Do nothing, as no lock is held."""


def _held(engine: Engine, holder: str) -> BadInput:
    return BadInput(
        f"preference store {place(engine)} is being trained from by {holder}; end that one first, or name another store"
    )


def _closed(connection: Connection) -> None:
    try:
        connection.close()
    except DBAPIError:  # the connection was lost
        connection.invalidate()


def _removed(path: Path, handle: int) -> None:
    path.unlink(missing_ok=True)
    os.close(handle)
