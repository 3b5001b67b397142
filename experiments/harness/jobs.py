"""One run of an experiment, and the process of its own that does it."""

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
    first: float = 1.0  # share of its rounds; the row of fewer than all has no figures of the whole

    @property
    def command(self) -> str:
        """What does this run alone."""
        testing = " --testing" if self.testing else ""
        return f"python -m experiments.run {self.experiment} --only {self.setting} --seeds {self.seed}{testing}"


Rows = dict[str, Any]
Execute = Callable[[Job], Rows]
"""Does a job; gives `run`, its row, `curves`, a row per round, and, where its setting wants one, `clip`."""


def in_fresh_process(job: Job, *, folder: Path = ROOT) -> Rows:
    """Do a job in a new Python process with one thread; its clip, if it makes one, comes as bytes.

    Args:
        job: What to do.
        folder: Where the package and the experiments are.

    Raises:
        RuntimeError: If the process fails; the message is what it said.
    """
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "rows.json"
        command = [sys.executable, "-m", "experiments.harness.worker", job.experiment, job.setting, str(job.seed)]
        more = ["--command", job.command, "--first", str(job.first), *["--testing"] * job.testing]
        process_here([*command, str(output), *more], folder=folder)
        rows: Rows = json.loads(output.read_text())
        clip = output.with_suffix(".webp")
        return rows | ({"clip": clip.read_bytes()} if clip.exists() else {})
