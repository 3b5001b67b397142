"""Test which tables are of the present code, and read which are known to be older.

A row is of the present code if it was run with today's settings, and with today's code
(:mod:`experiments.harness.fingerprint`) or code that was confirmed to give the same figures
(:mod:`experiments.harness.confirmed`). `results/older.txt` lists the other tables, each with the reason; a test fails
for a table that is older but not listed, or listed but not older.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from experiments.harness.confirmed import standing
from experiments.harness.fingerprint import CODE, code_of, has_part
from experiments.harness.results import Results
from experiments.harness.settings import Family, Row, Setting, known_columns
from rlhf_gym.sweeps.records import as_text


def listed_older(results_dir: Path = Path("results")) -> dict[str, str]:
    """Read `older.txt`: the reason why each table is older, by `question/family` or by its folder's name.

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


def warning(table: str, older: Mapping[str, str]) -> list[str]:
    """Say on its page that a table is older, and why, in one line or none."""
    return [f"**Older than the present code:** {older[table]}.\n"] if table in older else []


def stale(results: Results, family: Family) -> list[str]:
    """List the settings of a family with rows that aren't of the present code."""
    return [
        name
        for name, setting in results.of(family).items()
        if not all_fresh(results.name, name, setting, results.runs[name], results.confirmed)
    ]


def all_fresh(experiment: str, name: str, setting: Setting, rows: Sequence[Row], confirmed: Sequence[Row] = ()) -> bool:
    """Test whether today's settings and code would reproduce all rows of a setting.

    Args:
        experiment: The experiment's name.
        name: The setting's name.
        setting: The setting as it is today.
        rows: Its rows of `runs.csv`.
        confirmed: Rows of `confirmed.csv`, which name older code that gives the same figures.
    """
    if not all(row.get(CODE) for row in rows) or not of_todays_settings(experiment, name, setting, rows):
        return False
    return {row[CODE] for row in rows} <= standing(name, todays_code(setting), confirmed)


def is_fresh(experiment: str, name: str, setting: Setting, row: Row, confirmed: Sequence[Row] = ()) -> bool:
    """Test whether today's settings and code would reproduce this row."""
    return all_fresh(experiment, name, setting, [row], confirmed)


def of_todays_settings(experiment: str, name: str, setting: Setting, rows: Iterable[Row]) -> bool:
    """Test whether rows were run with today's values of the settings that affect the result."""
    config = setting.run_config(setting.seeds[0])
    known = known_columns(experiment, name, config)
    wanted = {c: as_text(value) for c, value in known.items() if c != "seed" and has_part(c, config)}
    return all(wanted.items() <= row.items() for row in rows)


def todays_code(setting: Setting) -> str:
    """Compute the hash of the code that a setting's rows depend on today."""
    return code_of(setting.run_config(setting.seeds[0]), setting.measures.values())
