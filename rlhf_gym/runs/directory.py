"""The run directory; nothing in it is ever overwritten by another run."""

from __future__ import annotations

import json
import os
import shutil
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.runs.metrics import read_rounds

try:
    import fcntl
except ImportError:  # Windows has no advisory locks: there, don't write one folder from two processes at once
    fcntl = None  # type: ignore[assignment]

FILES = ("config.yaml", "provenance.json", "metrics.csv", "summary.json", "policy.zip", "preferences.db")
FOLDERS = ("tensorboard", "checkpoints")


@dataclass(frozen=True)
class Run:
    """A finished run, read back.

    Args:
        path: Its directory.
        config: Its settings.
        summary: Contents of ``summary.json``.
        metrics: Rows of ``metrics.csv``, one a round.
    """

    path: Path
    config: RLHFConfig
    summary: dict[str, Any]
    metrics: list[dict[str, float]]


@final
class FolderLock:
    """A lock of a folder, held until it is closed or the process ends.

    Raises:
        OSError: BlockingIOError if another process has it locked.
    """

    def __init__(self, folder: Path) -> None:
        if fcntl is None:
            return
        handle = os.open(folder, os.O_RDONLY)
        self._close = weakref.finalize(self, os.close, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock; harmless if done twice."""
        if fcntl is not None:
            self._close()


@final
class RunDirectory:
    """The directory in which a run writes its files.

    Args:
        path: A directory that doesn't hold a run yet; made if it is missing.
        resume: Whether it holds a run, an unfinished one, that is to go on.

    Raises:
        BadInput: If it holds a run, is a file, or can't be made; with `resume`, unless it holds an unfinished run.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        self.path = Path(path)
        if resume:
            unfinished_run(path)
            self._lock_alone()
            return
        if self.path.exists() and not self.path.is_dir():
            raise BadInput(f"run_dir {path} is a file; use a directory")
        if held := [name for name in FILES if (self.path / name).exists()]:
            raise BadInput(f"run_dir {path} already holds a run ({', '.join(held)}); use another directory")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"run_dir {path} can't be made ({error.strerror}); use a place you may write to") from error
        self._lock_alone()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def _lock_alone(self) -> None:
        """Keep other trainers out until :meth:`close`, or until this process ends in any way.

        Raises:
            BadInput: If another one is in.
        """
        try:
            self._lock = FolderLock(self.path)
        except OSError as error:
            raise BadInput(f"run_dir {self.path} is being trained by another process; end that one first") from error

    def close(self) -> None:
        """Release the lock; harmless if done twice."""
        self._lock.close()

    def discard(self) -> None:
        """Remove the files of a run that failed at its start."""
        self.close()
        for name in (*FILES, *(f"preferences.db-{kind}" for kind in ("wal", "shm"))):
            (self.path / name).unlink(missing_ok=True)
        for name in FOLDERS:
            shutil.rmtree(self.path / name, ignore_errors=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one JSON file."""
        (self.path / name).write_text(json.dumps(content, indent=1) + "\n")


def unfinished_run(path: str | Path) -> RLHFConfig:
    """Read the settings of a run that can be resumed.

    Raises:
        BadInput: If the directory holds no run, or a finished one.
    """
    path = Path(path)
    if not (path / "config.yaml").exists():
        raise BadInput(f"{path} holds no run (config.yaml missing); use the --run-dir of a train")
    if (path / "summary.json").exists():
        raise BadInput(f"the run in {path} is finished; there is nothing to resume")
    return RLHFConfig.from_yaml(path / "config.yaml").replace(run_dir=str(path))


def read_run(path: str | Path) -> Run:
    """Read a run directory.

    Raises:
        BadInput: If it doesn't hold a finished run, or a file of it is damaged.
    """
    path = Path(path)
    if missing := [name for name in FILES[:4] if not (path / name).exists()]:
        raise BadInput(f"{path} holds no finished run ({', '.join(missing)} missing); use the --run-dir of a train")
    config = RLHFConfig.from_yaml(path / "config.yaml")
    try:
        with (path / "metrics.csv").open(newline="") as file:
            metrics = read_rounds(file)
        return Run(path, config, json.loads((path / "summary.json").read_text()), metrics)
    except (ValueError, TypeError) as error:  # TypeError: a row has more or fewer values than there are columns
        raise BadInput(f"metrics.csv or summary.json of {path} is damaged ({error}); run it again") from error
