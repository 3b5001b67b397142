"""Run a trainer as if started by hand, and sample its and the page's memory and disk use over time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from experiments.measurements.fifty_people.clients import Tally
from experiments.measurements.page_waits import Served

ENV_ID = "CartPole-v1"
STEPS = 2048  # of the policy, in a round
Samples = list[dict[str, float]]


@contextmanager
def training(
    run_dir: Path, *, labels: int, rounds: int, outstanding: int, store: str | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a trainer that asks people, until the context is left; its output goes to a file."""
    settings = {
        "--env-id": ENV_ID,
        "--teacher": "store",
        "--labels": labels,
        "--run-dir": run_dir,
        "--total-timesteps": STEPS * rounds + 4096,
        "--query.rounds": rounds,
        "--query.schedule": "constant",
        "--query.warm-up-steps": 4096,
        "--feedback.outstanding": outstanding,
    } | ({"--store": store} if store else {})
    words = [str(word) for flag in settings.items() for word in flag]
    with (
        run_dir.with_name("trainer.txt").open("wb") as said,
        subprocess.Popen(
            [sys.executable, "-m", "rlhf_gym.cli", "train", "--async-labels", *words], stdout=said, stderr=said
        ) as trainer,
    ):
        try:
            yield trainer
        finally:
            trainer.terminate()


def until(there: Callable[[], bool], trainer: subprocess.Popen[bytes], *, seconds: float = 120.0) -> None:
    """Wait until `there` is true, which the trainer brings about.

    Raises:
        RuntimeError: If the trainer ends first, or it takes too long.
    """
    end = time.monotonic() + seconds
    while not there():
        if trainer.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the trainer has ended with {trainer.returncode}, or takes longer than {seconds:g} s")
        time.sleep(0.2)


def watched(
    trainer: subprocess.Popen[bytes], served: Served, run_dir: Path, tally: Tally, *, seconds: float
) -> Samples:
    """Sample memory and disk about sixty times within `seconds`.

    Raises:
        RuntimeError: If the trainer or the page ends first.
    """
    began, found = time.monotonic(), []
    while True:
        found.append(sample(began, trainer.pid, served.pid, run_dir, tally))
        if time.monotonic() - began >= seconds:
            return found
        if trainer.poll() is not None or not found[-1]["page_mb"]:
            raise RuntimeError(f"the trainer has ended with {trainer.poll()}, or the page; after {found[-1]}")
        time.sleep(max(1.0, seconds / 60))


def interrupt(trainer: subprocess.Popen[bytes], *, within: float = 600.0) -> None:
    """End the trainer by SIGTERM, upon which it writes a checkpoint; SIGINT may be ignored, as in a background job.

    Raises:
        RuntimeError: If it ends with another status.
    """
    trainer.terminate()
    if trainer.wait(within) != 128 + signal.SIGTERM:
        raise RuntimeError(f"the trainer was interrupted and has ended with {trainer.returncode}")


def sample(began: float, trainer: int, page: int, run_dir: Path, tally: Tally) -> dict[str, float]:
    """Sample memory and disk once."""
    return {
        "minute": round((time.monotonic() - began) / 60, 2),
        "answers": tally.answers,
        "trainer_mb": round(resident_mb(trainer), 1),
        "page_mb": round(resident_mb(page), 1),
        "drawer_mb": round(sum(map(resident_mb, children_of(page))), 1),
        "store_mb": round(size_mb(run_dir, "preferences.db"), 2),
        "clips_mb": round(size_mb(run_dir, "clips"), 2),
    }


def resident_mb(pid: int) -> float:
    """Read the resident memory of a process, in MB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def children_of(pid: int) -> list[int]:
    """List the ids of the processes that a process has started."""
    found = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(word) for text in found for word in text.split()]


def size_mb(place: Path, named: str) -> float:
    """Sum the sizes, in MB, of a folder's files and subfolders whose names begin with `named`.

    Files that are removed meanwhile don't count.
    """
    found = 0
    for folder, _, files in os.walk(place):
        for file in (Path(folder) / name for name in files):
            if file.relative_to(place).parts[0].startswith(named):
                with suppress(OSError):
                    found += file.stat().st_size
    return found / 1e6
