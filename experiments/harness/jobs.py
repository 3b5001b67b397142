"""Runs of an experiment, each done in a process of its own."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.harness.checkout import ROOT, process_here
from rlhf_gym.sweeps.runner import OfSetting


@dataclass(frozen=True)
class Job(OfSetting):
    """One run to do."""

    experiment: str
    setting: str
    seed: int
    testing: bool = False
    first: float = 1.0  # share of its rounds to do; below 1, the row has no figures of the whole run

    @property
    def command(self) -> str:
        """The command that does this run alone."""
        testing = " --testing" if self.testing else ""
        return f"python -m experiments.run {self.experiment} --only {self.setting} --seeds {self.seed}{testing}"


Rows = dict[str, Any]
Execute = Callable[[Job], Rows]
"""Does a job; returns `run` (its row), `curves` (a row per round) and, if its setting wants one, `clip`."""


def in_fresh_process(job: Job, *, folder: Path = ROOT) -> Rows:
    """Do a job in a new Python process with one thread; its clip, if any, is returned as bytes.

    Args:
        job: The run to do.
        folder: Where the package and the experiments are.

    Raises:
        RuntimeError: If the process fails; the message is what it printed.
    """
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "rows.json"
        command = [sys.executable, "-m", "experiments.harness.worker", job.experiment, job.setting, str(job.seed)]
        more = ["--first", str(job.first), *["--testing"] * job.testing]
        process_here([*command, str(output), *more], folder=folder)
        rows: Rows = json.loads(output.read_text())
        clip = output.with_suffix(".webp")
        return rows | ({"clip": clip.read_bytes()} if clip.exists() else {})
