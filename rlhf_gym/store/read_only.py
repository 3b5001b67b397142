"""Opening SQLite files in folders that can't be written, as on a read-only medium."""

from __future__ import annotations

import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from rlhf_gym.errors import BadInput
from rlhf_gym.store.schema import SCHEMA_VERSION


def only_to_read(file: str) -> dict[str, Any]:
    """Make the engine options for a file: a read-only connection if its folder can't be written, else none."""
    if os.path.isfile(file) and not os.access(Path(file).absolute().parent, os.W_OK):
        return {"creator": partial(_connect, Path(file).absolute())}
    return {}


def _connect(file: Path) -> sqlite3.Connection:
    """Connect to a file read-only.

    In write-ahead mode SQLite has to write beside the file, unless it may assume that nobody else writes. If there is
    a log, somebody may, and the log's own files must be there as well.
    """
    log = Path(f"{file}-wal")
    logged = log.exists() and log.stat().st_size > 0
    if logged and not Path(f"{file}-shm").exists():
        raise BadInput(
            f"{file} has a write-ahead log, which can't be read in a folder that can't be written; copy both it and "
            f"{log.name} to another one, and use them there"
        )
    how = "mode=ro" if logged else "immutable=1"
    connection = sqlite3.connect(f"{file.as_uri()}?{how}", uri=True, check_same_thread=False)
    try:
        if connection.execute("SELECT value FROM rlhf_gym_meta WHERE name = 'schema_version'").fetchone() == ("4",):
            for statement in _VERSION_4:
                connection.execute(statement)
    except sqlite3.Error:  # not a store's database, which is reported where it is opened
        pass
    return connection


# Temporary tables and views hide those of the file, so version 4, which had one run, reads like today's tables.
_VERSION_4 = (
    "PRAGMA temp_store = MEMORY",
    "CREATE TEMP VIEW queries AS SELECT *, 1 AS run FROM main.queries",
    "CREATE TEMP TABLE runs (number, name, env_id, labels, instructions, levels, draw)",
    f"CREATE TEMP VIEW rlhf_gym_meta AS SELECT 'schema_version' AS name, '{SCHEMA_VERSION}' AS value",
)
