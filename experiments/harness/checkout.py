"""The checkout that experiments run from: its folders, and processes in it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from rlhf_gym.sweeps.fresh_process import fresh_process

ROOT = Path(__file__).parents[2]


def process_here(command: Sequence[str], told: str | None = None, *, folder: Path = ROOT) -> str:
    """Run a command in its own process, in the checkout; see :func:`rlhf_gym.sweeps.fresh_process.fresh_process`."""
    return fresh_process(command, told, folder=folder)


def commit_of(revision: str) -> str:
    """Find the full hash of a commit by its name or the beginning of its hash.

    Raises:
        ValueError: If the checkout has no such commit.
    """
    git = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    found = subprocess.run(git, capture_output=True, text=True)
    if found.returncode:
        raise ValueError(f"{revision!r} is no commit of {ROOT}; use one that git log lists")
    return found.stdout.strip()


@contextmanager
def package_as_of(commit: str) -> Iterator[Path]:
    """Put the package of a commit and today's experiments into one temporary folder.

    Raises:
        ValueError: If the commit has no such package.
    """
    with tempfile.TemporaryDirectory() as directory:
        git = ["git", "-C", str(ROOT), "archive", "--format=zip", commit, "rlhf_gym", "setup.cfg"]
        archive = subprocess.run(git, capture_output=True)
        if archive.returncode:
            raise ValueError(f"commit {commit} has no package rlhf_gym; use a later one")
        with ZipFile(BytesIO(archive.stdout)) as packed:
            packed.extractall(directory)
        shutil.copytree(ROOT / "experiments", Path(directory) / "experiments")
        yield Path(directory)


def figures_from(command: Sequence[str], told: str | None = None) -> dict[str, Any]:
    """Run a measurement with :func:`process_here`, and read its figures from the last line of output, as JSON."""
    figures: dict[str, Any] = json.loads(process_here(command, told).splitlines()[-1])
    return figures


def results_folder(name: str, results_dir: Path, *, testing: bool) -> Path:
    """Find an experiment's folder of results; the testing subset has a folder of its own."""
    return results_dir / (f"{name}-testing" if testing else name)
