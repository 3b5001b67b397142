"""Python 3.10's sqlite3 names no codes and puts none on its errors: what they say must do."""

import sqlite3

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from rlhf_gym.store import patience


@pytest.mark.parametrize(
    "said, passes",
    [
        ("database is locked", True),
        ("database table is locked: answers", True),
        ("database or disk is full", True),
        ("no such table: answers", False),
    ],
)
def test_an_error_without_a_code_is_known_by_its_words(said: str, passes: bool) -> None:
    error = OperationalError("SELECT 1", {}, sqlite3.OperationalError(said))
    assert patience.may_pass(create_engine("sqlite://"), error) is passes


@pytest.mark.skipif(not hasattr(sqlite3, "SQLITE_BUSY"), reason="Python 3.10 names none")
def test_the_codes_are_those_that_python_names_from_3_11_on() -> None:
    assert patience._BUSY == {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
    io = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_TRUNCATE)
    assert patience._NO_SPACE == set(io)
