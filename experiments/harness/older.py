"""Which tables are of the present code, and which are known to be older.

A row is of the present code if its settings are what its setting says today and the code that made it is today's
(:mod:`experiments.harness.fingerprint`). `results/older.txt` lists the tables that aren't, each with the reason; a test
fails for a table that is older and not listed, and for one that is listed and not older.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.harness.fingerprint import code_of, has_part
from experiments.harness.results import Results
from experiments.harness.settings import Family, Row, Setting, known_columns

CODE = "code"


def listed_older(results_dir: Path = Path("results")) -> dict[str, str]:
    """Read the list: why each table is older, by its name, `question/family` or a folder's.

    Raises:
        ValueError: On a line that isn't `table: why`.
    """
    path, found = results_dir / "older.txt", {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        table, colon, why = line.partition(": ")
        if line and not line.startswith("#"):
            if not colon or not why.strip():
                raise ValueError(f"{path}, line {number}, is {line!r}; expected `table: why`")
            found[table] = why.strip()
    return found


def stale(results: Results, family: Family) -> list[str]:
    """List the settings of a family that have rows which aren't of the present code."""
    return [
        name
        for name, setting in results.of(family).items()
        if not all_fresh(results.name, name, setting, results.runs[name])
    ]


def all_fresh(experiment: str, name: str, setting: Setting, rows: Sequence[Row]) -> bool:
    """Test whether today's settings and code would make all rows of a setting again."""
    if not all(row.get(CODE) for row in rows):
        return False
    config = setting.run_config(setting.seeds[0])
    known = known_columns(experiment, name, config)
    wanted = {column: as_text(value) for column, value in known.items() if has_part(column, config)}
    wanted[CODE] = code_of(config, setting.measures.values())
    return all({**wanted, "seed": row["seed"]}.items() <= row.items() for row in rows)


def is_fresh(experiment: str, name: str, setting: Setting, row: Row) -> bool:
    """Test whether today's settings and code would make this row again."""
    return all_fresh(experiment, name, setting, [row])


def as_text(value: Any) -> str:
    """Write a value as a CSV file holds it."""
    return "" if value is None else str(value)
