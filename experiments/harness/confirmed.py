"""Which code was seen to give the figures of which older code: the rows of `confirmed.csv`, setting by setting.

:mod:`experiments.harness.confirm` writes them; rows of runs stand where they lead to the present code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from experiments.harness.asked import listed
from experiments.harness.fingerprint import CODE
from experiments.harness.settings import Row
from rlhf_gym.sweeps.records import append_rows, read_header, read_rows, widen

FILE = "confirmed.csv"
ROUNDS = "rounds"  # which of how many were compared; empty is all, and the figures of the whole run
BESIDE = "beside"  # the commit whose code was run beside; empty is none, but the rows that are there
SHORT = 12  # digits of a commit in a sentence


def read_confirmed(folder: Path) -> list[dict[str, str]]:
    """Read what was confirmed of an experiment, oldest first; nothing if nothing was."""
    return read_rows(folder / FILE)


def keep_confirmed(folder: Path, row: Mapping[str, str]) -> None:
    """Append what was confirmed; a file from before a column gets it."""
    if read_header(folder / FILE) not in (None, list(row)):
        widen(folder / FILE, list(row), lambda _: {})
    append_rows(folder / FILE, [row])


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
    """Find how rows of some codes were last confirmed: commit, rounds, beside; None if they never were.

    Of several steps that lead there the rounds are those of the one that compared the fewest.
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
