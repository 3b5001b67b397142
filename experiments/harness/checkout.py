"""The checkout that experiments run from: its folders, and processes in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlhf_gym.sweeps.fresh_process import fresh_process

ROOT = Path(__file__).parents[2]


def process_here(command: Sequence[str], told: str | None = None) -> str:
    """Run a command in its own process, in the checkout; see :func:`rlhf_gym.sweeps.fresh_process.fresh_process`."""
    return fresh_process(command, told, folder=ROOT)


def figures_from(command: Sequence[str], told: str | None = None) -> dict[str, Any]:
    """Run a measurement by :func:`process_here`; its figures are the last line of its output, in JSON."""
    figures: dict[str, Any] = json.loads(process_here(command, told).splitlines()[-1])
    return figures


def results_folder(name: str, results_dir: Path, *, testing: bool) -> Path:
    """Find the folder of results; those of a testing subset never mix with them."""
    return results_dir / (f"{name}-testing" if testing else name)
