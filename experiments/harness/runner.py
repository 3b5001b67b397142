"""The runner of every table of runs: do the jobs that have no row yet, some at a time, and keep each as it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from experiments.harness.records import read_rows
from rlhf_gym.runs import FolderLock

ROOT = Path(__file__).parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # the jobs share the cores, not each one all of them


class Job(Protocol):
    """One run to do; jobs compare by value."""

    @property
    def title(self) -> str:
        """Its name in messages."""

    @property
    def command(self) -> str:
        """What does this run alone."""

    @property
    def key(self) -> Mapping[str, str]:
        """The columns by which its row is found."""


AnyJob = TypeVar("AnyJob", bound=Job)
Made = TypeVar("Made")


def fresh_process(command: Sequence[str], told: str | None = None) -> str:
    """Run a command in its own process with one thread, and return its output.

    Args:
        command: Program and arguments.
        told: What it reads from its standard input.

    Raises:
        RuntimeError: If the process fails; the message is what it said.
    """
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | ONE_THREAD, input=told, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip())
    return done.stdout


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
    execute: Callable[[AnyJob], Made],
    keep: Callable[[AnyJob, Made], str],
    *,
    jobs: int = 1,
) -> dict[AnyJob, str]:
    """Do jobs and keep each result as it ends.

    Args:
        todo: The jobs.
        execute: Does one, in any thread.
        keep: Writes what one made and gives a line about it; called here, one at a time.
        jobs: Jobs at the same time; one alone keeps their order.

    Returns:
        The jobs that failed, each with its error; the others are kept.
    """
    failed: dict[AnyJob, str] = {}
    for number, (job, made) in enumerate(_execute_all(todo, execute, jobs), start=1):
        progress = f"[{number}/{len(todo)}] {job.title}"
        if isinstance(made, Exception):
            failed[job] = str(made)
            print(f"{progress} failed: {made}", file=sys.stderr, flush=True)
        else:
            print(f"{progress}: {keep(job, made)}", flush=True)
    return failed


def _execute_all(
    todo: Sequence[AnyJob], execute: Callable[[AnyJob], Made], jobs: int
) -> Iterator[tuple[AnyJob, Made | Exception]]:
    """Do the jobs, some at a time, and yield each as it ends."""
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(execute, job): job for job in todo}
        for future in futures if jobs == 1 else as_completed(futures):
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield futures[future], error or future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # when stopped from the keyboard: start no more


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Lock the folder, so that no second command does the same runs; the lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FolderLock(folder)
    except BlockingIOError:
        raise ValueError(f"{folder} is being written by another command; wait until it has ended") from None
    with closing(lock):
        yield


def results_folder(name: str, results_dir: Path, *, testing: bool) -> Path:
    """Find the folder of results; those of a testing subset never mix with them."""
    return results_dir / (f"{name}-testing" if testing else name)
