"""Provenance of rows and pages: versions, commit, machine, command, date."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from experiments.harness.checkout import ROOT
from rlhf_gym.sweeps import columns
from rlhf_gym.sweeps.records import read_rows


def made_columns(
    command: str, versions: Mapping[str, str] | None = None, python: str | None = None
) -> dict[str, str | None]:
    """Make the last columns of a run's row; see :func:`rlhf_gym.sweeps.columns.made_columns`.

    The commit is marked as changed if code of the experiments was changed, too.
    """
    made = columns.made_columns(command, versions, python)
    return made | {"commit": mark_changed(made["commit"])}


def mark_changed(commit: str | None) -> str | None:
    """Mark the commit if code of the package or of the experiments has uncommitted changes."""
    if commit is None or commit.endswith("+dirty") or not (ROOT / ".git").exists():  # as on a node of a cluster
        return commit
    git = ["git", "-C", str(ROOT), "status", "--porcelain", "--", "rlhf_gym", "experiments"]
    return commit + ("+dirty" if subprocess.run(git, capture_output=True, check=True).stdout else "")


def measured_columns() -> dict[str, str | None]:
    """Make the last columns of a measurement's row: machine, commit, Python, date."""
    made = made_columns("")
    date = datetime.now(timezone.utc).date().isoformat()
    return {name: made[name] for name in ("machine", "commit", "python")} | {"date": date}


def measured_last(path: Path) -> list[dict[str, str]]:
    """Read the rows of the commit that was measured last."""
    rows = read_rows(path)
    return [row for row in rows if row["commit"] == rows[-1]["commit"]]


def made_with(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Write a page's lines on the provenance of its rows."""
    for column in ("machine", "commit", "python", "versions"):
        yield f"- {column}: {'; or '.join(sorted({row[column] or 'unknown' for row in rows}))}"
    yield f"- dates: {min(row['date'] for row in rows)} to {max(row['date'] for row in rows)}\n"
