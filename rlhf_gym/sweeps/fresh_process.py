"""A command in a process of its own, with one thread."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # the jobs share the cores, not each one all of them
TRIES = 3


class ProcessDied(RuntimeError):
    """The process was killed from outside, such as for memory, and said nothing: trying again may help."""


def fresh_process(command: Sequence[str], told: str | None = None, *, folder: Path | None = None) -> str:
    """Run a command in its own process, and return its output; one that is killed is tried again, twice.

    Args:
        command: Program and arguments.
        told: What it reads from its standard input.
        folder: Where it runs; None is here.

    Raises:
        ProcessDied: If it is killed each time.
        RuntimeError: If it fails; the message is what it said.
    """
    for _ in range(TRIES):
        done = subprocess.run(
            command, cwd=folder, env=os.environ | ONE_THREAD, input=told, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            return done.stdout
        if done.returncode > 0:
            raise RuntimeError((done.stderr or done.stdout).strip())
    raise ProcessDied(f"its process was killed {TRIES} times, with signal {-done.returncode}")
