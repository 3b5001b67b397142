"""Retrying of work that a database can't do just now, because it is locked, full or restarting."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar, final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from rlhf_gym.errors import BadInput

PATIENCE = 600.0
"""Default number of seconds to wait for a database that can't be used."""
SAID_AFTER = 4.0  # seconds before a warning; SQLite's own wait for a lock is longer
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two tries
LOG = logging.getLogger(__name__)  # warnings go to stderr unless logging is configured

Found = TypeVar("Found")
# SQLite's result codes (sqlite.org/rescode.html). Python 3.10 doesn't report them: there the message is searched.
_BUSY = {5, 6, 13}  # BUSY, LOCKED, FULL
_NO_SPACE = {778, 4874, 1546}  # IOERR_WRITE, IOERR_SHMSIZE, IOERR_TRUNCATE
_READ_ONLY, _READ_ONLY_IN_WORDS = 8, "readonly database"
_READ_ONLY_ON_A_SERVER = "25006"  # PostgreSQL's read_only_sql_transaction
_IN_WORDS = ("is locked", "is full")
_STARTING = ("starting up", "shutting down", "too many clients", "not yet accepting connections")


class Unusable(BadInput):
    """A database that couldn't be used for too long, or can't be written to."""


@final
class Patience:
    """Retries one sort of work for as long as the database may come back. Safe to use from many threads.

    Args:
        place: What to call the database in a message.
        seconds: How long to retry after the first failure. After that, each piece of work is tried once, until one
            succeeds.
        what: What can't be done, for messages: "read", "written to" or "opened".
    """

    def __init__(self, place: str, seconds: float, *, what: str) -> None:
        self._place, self._seconds, self._what = place, seconds, what
        self._lock, self._since, self._said = threading.Lock(), 0.0, False

    def until_done(self, work: Callable[[bool], Found], passes: Callable[[Exception], bool]) -> Found:
        """Do a piece of work, and retry it until it succeeds.

        Args:
            work: Takes whether this is a retry; an earlier try may have been committed although its reply was lost.
            passes: Whether an error is temporary.

        Raises:
            Unusable: If the database couldn't be used for too long, or can only be read.
        """
        for tries in count():
            began = time.monotonic()
            try:
                found = work(tries > 0)
            except (DBAPIError, NoConnectionFree) as error:
                if what_to_do := _only_to_read(error):
                    raise Unusable(
                        f"preference store {self._place} can't be {self._what}: {reason(error)}; {what_to_do}"
                    ) from error
                if not passes(error):
                    raise
                self._note(error, began)
            else:
                if self._since:
                    self._is_back()
                return found
            time.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 10)))
        raise AssertionError  # never reached

    def _note(self, error: Exception, began: float) -> None:
        with self._lock:
            self._since = self._since or began
            waited = time.monotonic() - self._since
            since = time.strftime("%H:%M:%S", time.localtime(time.time() - waited))
            told = f"preference store {self._place} can't be {self._what} since {since}: {reason(error)}"
            if waited >= self._seconds:
                raise Unusable(
                    f"{told}; what was answered is kept: see to it, then go on (a run by rlhf-gym resume DIR)"
                ) from error
            if waited >= SAID_AFTER and not self._said:
                self._said = True
                at_most = f"{self._seconds:g} s" if self._seconds < 60 else f"{self._seconds / 60:.0f} minutes"
                LOG.warning("%s; it is waited for, for at most %s", told, at_most)

    def _is_back(self) -> None:
        with self._lock:
            if self._said:
                waited = time.monotonic() - self._since
                LOG.warning("preference store %s can be %s again, after %.0f s", self._place, self._what, waited)
            self._since, self._said = 0.0, False


def may_pass(engine: Engine, error: Exception) -> bool:
    """Test whether an error is temporary: the database can't be used just now, but the statement is right."""
    if isinstance(error, NoConnectionFree) or getattr(error, "connection_invalidated", False):
        return True
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    if engine.dialect.name != "sqlite":
        return isinstance(error, OperationalError)
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is None:
        return any(words in str(error.orig) for words in _IN_WORDS)
    return code & 0xFF in _BUSY or code in _NO_SPACE


def _only_to_read(error: Exception) -> str:
    """Say what to do about a database that refused to be written; "" if it failed for another reason."""
    original = getattr(error, "orig", None)
    if getattr(original, "sqlstate", None) == _READ_ONLY_ON_A_SERVER:
        return "let it be written to, or name the server that it is a standby of"
    code = getattr(original, "sqlite_errorcode", None)
    if _READ_ONLY_IN_WORDS in str(original) if code is None else code & 0xFF == _READ_ONLY:
        return "let it and its folder be written to, or copy it and use the copy"
    return ""


def may_pass_at_first(engine: Engine, error: Exception) -> bool:
    """Test the same when opening a database: then an unreachable server may be misnamed, and isn't waited for."""
    if engine.dialect.name == "sqlite":
        return may_pass(engine, error)
    return any(word in str(error) for word in _STARTING)


def reason(error: Exception) -> str:
    """Say on one line why a database refused."""
    original = getattr(error, "orig", None) or error
    words = " ".join(str(original).split())
    if getattr(original, "sqlite_errorcode", None) in _NO_SPACE:
        return f"{words} (no space left, or a disk that fails)"
    return words
