"""Confirm rows of older code, by making one of them again with today's code."""

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
    """Return whether a job's row is of today's code, or of code confirmed to give the same figures."""
    return row[CODE] in standing(job.name, job.code, read_confirmed(folder))


def keep_same(job: Job, old: Row, new: Row, folder: Path) -> str:
    """Record that today's code makes the same row, so that all rows of the setting and the old code remain valid.

    Args:
        job: The run that was repeated.
        old: Its stored row.
        new: Its row today.
        folder: Where the rows are.

    Returns:
        The first figure that differs, in which case nothing is recorded; "" if none does.
    """
    if found := next(differing(old, new, [name for name in new if name not in (CODE, *MADE)]), ""):
        return found
    same = {"setting": job.name, "seed": str(job.seed), "old_code": old[CODE], "new_code": new[CODE]}
    keep_confirmed(folder, {**same, **{name: as_text(new[name]) for name in MADE}, ROUNDS: "", BESIDE: ""})
    return ""
