"""Runner of any table of runs: does the jobs that have no row yet, some at a time, and keeps each as it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rlhf_gym.runs import FolderLock
from rlhf_gym.sweeps.executors import Executor, locally
from rlhf_gym.sweeps.records import append_rows, check_header, read_rows

RUNS, CURVES = "runs.csv", "curves.csv"


class Job(Protocol):
    """One run to do; jobs compare by value."""

    @property
    def title(self) -> str:
        """Its name in messages."""

    @property
    def command(self) -> str:
        """Command that does only this run."""

    @property
    def key(self) -> Mapping[str, str]:
        """The columns that identify its row."""


class OfSetting:
    """Title and key of a run, for a dataclass with a setting and a seed."""

    setting: str
    seed: int

    @property
    def title(self) -> str:
        """Its name in messages."""
        return f"{self.setting} seed {self.seed}"

    @property
    def key(self) -> dict[str, str]:
        """The columns that identify its row."""
        return {"setting": self.setting, "seed": str(self.seed)}


AnyJob = TypeVar("AnyJob", bound=Job)


def missing(
    wanted: Sequence[AnyJob], path: Path, check: Callable[[AnyJob, Mapping[str, str]], None] = lambda job, row: None
) -> list[AnyJob]:
    """Find the jobs without a row.

    Args:
        wanted: All jobs.
        path: The table of runs.
        check: Called with a job and its row; raises if the row was run with other settings.

    Raises:
        ValueError: If the table is damaged, or what `check` raises.
    """
    rows = read_rows(path)
    todo = []
    for job in wanted:
        row = next((row for row in rows if job.key.items() <= row.items()), None)
        if row is None:
            todo.append(job)
        else:
            check(job, row)
    return todo


def run_missing(
    todo: Sequence[AnyJob],
    execute: Callable[[AnyJob], Any],
    keep: Callable[[AnyJob, Any], str],
    *,
    jobs: int = 1,
    executor: Executor = locally,
) -> dict[AnyJob, str]:
    """Do jobs and keep each result as it ends.

    Args:
        todo: The jobs.
        execute: Does one job, in any thread, or on any machine.
        keep: Writes a job's result and returns a line about it; called in this thread, one at a time.
        jobs: Jobs at the same time.
        executor: Where they are done.

    Returns:
        The jobs that failed, each with its error; the others are kept.
    """
    failed: dict[AnyJob, str] = {}
    for number, (job, made) in enumerate(executor(todo, execute, jobs=jobs), start=1):
        progress = f"[{number}/{len(todo)}] {job.title}"
        if isinstance(made, Exception):
            failed[job] = str(made)
            print(f"{progress} failed: {made}", file=sys.stderr, flush=True)
        else:
            print(f"{progress}: {keep(job, made)}", flush=True)
    return failed


def keep_rows(
    folder: Path, key: Mapping[str, str], run: Mapping[str, Any], curves: Sequence[Mapping[str, Any]]
) -> None:
    """Append a run to both tables. Its row comes last: a run that has its row has its curves too.

    Args:
        folder: Folder of both tables.
        key: The columns that identify its rows.
        run: Its row.
        curves: A row per round.

    Raises:
        ValueError: If one of the tables has other columns; nothing is written.
    """
    for name, rows in ((CURVES, curves), (RUNS, [run])):  # before either is written
        check_header(folder / name, rows)
    if not any(key.items() <= row.items() for row in read_rows(folder / CURVES)):
        append_rows(folder / CURVES, curves)
    append_rows(folder / RUNS, [run])


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Lock the folder, so that no second command does the same runs; the lock ends with the process.

    Raises:
        ValueError: If another command has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FolderLock(folder)
    except BlockingIOError:
        raise ValueError(f"{folder} is being written by another command; wait until it has ended") from None
    with closing(lock):
        yield
