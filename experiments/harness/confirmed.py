"""Which code was seen to give the figures of which older code: the rows of `confirmed.csv`, setting by setting.

:mod:`experiments.harness.confirm` writes them; rows of runs stand where they lead to the present code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiments.harness.asked import listed
from experiments.harness.fingerprint import CODE
from experiments.harness.settings import Row
from rlhf_gym.sweeps.records import read_rows

FILE = "confirmed.csv"
SHORT = 12  # digits of a commit in a sentence


def read_confirmed(folder: Path) -> list[dict[str, str]]:
    """Read what was confirmed of an experiment, oldest first; nothing if nothing was."""
    return read_rows(folder / FILE)


def standing(setting: str, code: str, confirmed: Sequence[Row]) -> set[str]:
    """Collect the codes whose rows of a setting stand under this code: itself, and all that lead to it step by step."""
    found = {code}
    steps = [(row["old_code"], row["new_code"]) for row in confirmed if row["setting"] == setting]
    while more := {old for old, new in steps if new in found} - found:
        found |= more
    return found


def run_again(runs: Mapping[str, Sequence[Row]], confirmed: Sequence[Row]) -> Iterator[str]:
    """Write the sentences of a table on what was run again.

    Args:
        runs: The rows of the table, by setting.
        confirmed: Everything that was confirmed of the experiment.
    """
    by_commit: dict[str, list[str]] = {}
    for setting, rows in runs.items():
        if commit := _last_commit(setting, {row.get(CODE, "") for row in rows}, confirmed):
            by_commit.setdefault(commit, []).append(setting)
    if by_commit:
        yield "The runs were made at the commits that their rows name."
    for commit, names in by_commit.items():
        whose = "each setting" if len(names) == len(runs) else listed([f"`{name}`" for name in names])
        yield f"One seed of {whose} was run again with the code of commit {commit} and gave the same figures."


def _last_commit(setting: str, codes: set[str], confirmed: Sequence[Row]) -> str | None:
    """Find the commit at which rows of some codes were last confirmed; None if they never were."""
    of_these = [
        row for row in confirmed if row["setting"] == setting and codes & standing(setting, row["old_code"], confirmed)
    ]
    if not of_these:
        return None
    commit, plus, changed = of_these[-1]["commit"].partition("+")
    return f"{commit[:SHORT] or 'unknown'}{plus}{changed}"
