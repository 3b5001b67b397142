"""Read and write `confirmed.csv`: which code gives the same figures as which older code, setting by setting.

:mod:`experiments.harness.confirm` makes the rows. A run's row remains valid if they lead from its code to today's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiments.harness.asked import listed
from experiments.harness.fingerprint import CODE
from experiments.harness.settings import Row
from rlhf_gym.sweeps.records import append_rows, read_header, read_rows, widen

FILE = "confirmed.csv"
ROUNDS = "rounds"  # "n of m" rounds were compared; empty if all were, and the figures of the whole run
BESIDE = "beside"  # the commit whose code was run for comparison; empty if stored rows were compared
SHORT = 12  # digits of a commit in a sentence


def read_confirmed(folder: Path) -> list[dict[str, str]]:
    """Read an experiment's confirmations, oldest first; empty if there are none."""
    return read_rows(folder / FILE)


def keep_confirmed(folder: Path, row: Mapping[str, str]) -> None:
    """Append a confirmation; an older file gets the columns that it lacks."""
    if read_header(folder / FILE) not in (None, list(row)):
        widen(folder / FILE, list(row), lambda _: {})
    append_rows(folder / FILE, [row])


def standing(setting: str, code: str, confirmed: Sequence[Row]) -> set[str]:
    """Collect this code and all codes confirmed, in one step or several, to give its figures of a setting."""
    found = {code}
    steps = [(row["old_code"], row["new_code"]) for row in confirmed if row["setting"] == setting]
    while more := {old for old, new in steps if new in found} - found:
        found |= more
    return found


def run_again(runs: Mapping[str, Sequence[Row]], confirmed: Sequence[Row]) -> Iterator[str]:
    """Write the sentences below a table about what was run again.

    Args:
        runs: The rows of the table, by setting.
        confirmed: All confirmations of the experiment.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for setting, rows in runs.items():
        if last := _last(setting, {row.get(CODE, "") for row in rows}, confirmed):
            alike.setdefault(last, []).append(setting)
    if alike:
        yield "The runs were made at the commits that their rows name."
    for (commit, rounds, beside), names in alike.items():
        whose = "each setting" if len(names) == len(runs) else listed([f"`{name}`" for name in names])
        what = f"Rounds 1 to {rounds} of one seed of {whose} were" if rounds else f"One seed of {whose} was"
        by = f"by the code of commits {beside} and {commit}" if beside else f"again with the code of commit {commit}"
        yield f"{what} run {by} and gave the same figures."


def _last(setting: str, codes: set[str], confirmed: Sequence[Row]) -> tuple[str, str, str] | None:
    """Find the last confirmation of rows of some codes: commit, rounds, beside; None if there is none.

    Of several confirmations, the rounds are those of the one that compared the fewest.
    """
    of_these = [
        row for row in confirmed if row["setting"] == setting and codes & standing(setting, row["old_code"], confirmed)
    ]
    if not of_these:
        return None
    parts = sorted((row[ROUNDS] for row in of_these if row.get(ROUNDS)), key=lambda part: int(part.split()[0]))
    return _short(of_these[-1]["commit"]), parts[0] if parts else "", of_these[-1].get(BESIDE, "")[:SHORT]


def _short(commit: str) -> str:
    number, plus, changed = commit.partition("+")
    return f"{number[:SHORT] or 'unknown'}{plus}{changed}"
