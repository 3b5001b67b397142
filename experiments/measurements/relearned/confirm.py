"""Rows of older code that stand, as one of them was made again by today's and came out the same."""

from __future__ import annotations

from pathlib import Path

from experiments.harness.confirm import differing
from experiments.harness.confirmed import BESIDE, ROUNDS, keep_confirmed, read_confirmed, standing
from experiments.harness.fingerprint import CODE
from experiments.harness.settings import Row
from experiments.measurements.relearned.runs import Job
from rlhf_gym.sweeps.records import as_text

MADE = ("versions", "python", "commit", "machine", "command", "date")


def stands(job: Job, row: Row, folder: Path) -> bool:
    """Tell whether a job's row is of today's code, or of code that gives the same."""
    return row[CODE] in standing(job.name, job.code, read_confirmed(folder))


def keep_same(job: Job, old: Row, new: Row, folder: Path) -> str:
    """Note that today's code makes the same row, and so that all rows of the setting stand that are of that code.

    Args:
        job: Which was done again.
        old: Its row.
        new: What it comes to today.
        folder: Where the rows are.

    Returns:
        Which figure is another one now; nothing was noted then. "" where none is.
    """
    if found := next(differing(old, new, [name for name in new if name not in (CODE, *MADE)]), ""):
        return found
    same = {"setting": job.name, "seed": str(job.seed), "old_code": old[CODE], "new_code": new[CODE]}
    keep_confirmed(folder, {**same, **{name: as_text(new[name]) for name in MADE}, ROUNDS: "", BESIDE: ""})
    return ""
