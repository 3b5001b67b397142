"""The run directory: config, provenance, metrics, summary. Nothing in it is ever overwritten by another run."""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from rlhf_gym.config import RLHFConfig

try:
    import fcntl
except ImportError:  # Windows has no advisory locks: there, don't write one folder from two processes at once
    fcntl = None  # type: ignore[assignment]

FILES = ("config.yaml", "provenance.json", "metrics.csv", "summary.json", "policy.zip", "preferences.db")
FOLDERS = ("tensorboard", "checkpoints")


@dataclass(frozen=True)
class Round:
    """One row of ``metrics.csv``: what one round did. A figure that doesn't exist is nan.

    Args:
        round: Its number, from 0.
        env_steps: Environment steps so far, the watched ones included.
        labels: Answered queries so far.
        asked: Queries asked so far, skipped ones included.
        true_return: Mean true return of the episodes PPO finished in this round.
        learned_return: Mean of what it was paid in them.
        episode_length: Mean length of them, in steps.
        reward_loss: Loss of the reward model on the answers it was fitted to.
        reward_loss_heldout: Likewise on the held-out ones.
        reward_accuracy: Share of the fitted answers it gives itself.
        reward_accuracy_heldout: Likewise of the held-out ones.
        disagreement: Mean over this round's queries, once fitted, of the members' standard deviation of P(left
            preferred).
        tie_rate: Share of this round's answers that are ties.
        seconds: Wall time since the run began.
    """

    round: int
    env_steps: int
    labels: int
    asked: int
    true_return: float
    learned_return: float
    episode_length: float
    reward_loss: float
    reward_loss_heldout: float
    reward_accuracy: float
    reward_accuracy_heldout: float
    disagreement: float
    tie_rate: float
    seconds: float


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
    """Keeps everyone else from locking a folder, until it is closed or the process ends.

    Raises:
        OSError: BlockingIOError if somebody else has it locked.
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
        """Let others in; harmless if done twice."""
        if fcntl is not None:
            self._close()


@final
class RunDirectory:
    """Where a run writes its files.

    Args:
        path: A directory that doesn't hold a run yet; made if it is missing.
        resume: Whether it holds a run, an unfinished one, that is to go on.

    Raises:
        ValueError: If it holds a run, is a file, or can't be made; with `resume`, unless it holds an unfinished run.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        self.path = Path(path)
        if resume:
            unfinished_run(path)
            self._lock_alone()
            return
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"run_dir {path} is a file; use a directory")
        if held := [name for name in FILES if (self.path / name).exists()]:
            raise ValueError(f"run_dir {path} already holds a run ({', '.join(held)}); use another directory")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"run_dir {path} can't be made ({error.strerror}); use a place you may write to"
            ) from error
        self._lock_alone()

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def _lock_alone(self) -> None:
        """Keep other trainers out until :meth:`close`, or until this process ends in whatever way.

        Raises:
            ValueError: If another one is in.
        """
        try:
            self._lock = FolderLock(self.path)
        except OSError as error:
            raise ValueError(f"run_dir {self.path} is being trained by another process; end that one first") from error

    def close(self) -> None:
        """Let others in; harmless if done twice."""
        self._lock.close()

    def discard(self) -> None:
        """Remove what a run that came to nothing has written."""
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

    def add_round(self, done: Round) -> None:
        """Append one row to ``metrics.csv``."""
        path = self.path / "metrics.csv"
        new, row = not path.exists(), asdict(done)
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)

    def forget_rounds_from(self, number: int) -> None:
        """Leave out of ``metrics.csv`` the rounds that a resumed run goes through once more."""
        path, new = self.path / "metrics.csv", self.path / "metrics.new"
        if path.exists():
            header, *rows = path.read_text().splitlines(keepends=True) or [""]
            kept = [row for row in rows if row.endswith("\n") and int(row.partition(",")[0]) < number]
            new.write_text("".join([header, *kept]))
            new.replace(path)
            if not header.endswith("\n"):  # killed before it was written
                path.unlink()


def unfinished_run(path: str | Path) -> RLHFConfig:
    """Settings of a run that can be resumed.

    Raises:
        ValueError: If the directory holds no run, or a finished one.
    """
    path = Path(path)
    if not (path / "config.yaml").exists():
        raise ValueError(f"{path} holds no run (config.yaml missing); use the --run-dir of a train")
    if (path / "summary.json").exists():
        raise ValueError(f"the run in {path} is finished; there is nothing to resume")
    return RLHFConfig.from_yaml(path / "config.yaml").replace(run_dir=str(path))


def read_run(path: str | Path) -> Run:
    """Read a run directory.

    Raises:
        ValueError: If it doesn't hold a finished run, or a file of it is damaged.
    """
    path = Path(path)
    if missing := [name for name in FILES[:4] if not (path / name).exists()]:
        raise ValueError(f"{path} holds no finished run ({', '.join(missing)} missing); use the --run-dir of a train")
    config = RLHFConfig.from_yaml(path / "config.yaml")
    try:
        with (path / "metrics.csv").open(newline="") as file:
            metrics = _rounds(file)
        return Run(path, config, json.loads((path / "summary.json").read_text()), metrics)
    except (ValueError, TypeError) as error:  # TypeError: a row has more or fewer values than there are columns
        raise ValueError(f"metrics.csv or summary.json of {path} is damaged ({error}); run it again") from error


def metrics_so_far(path: str | Path) -> list[dict[str, float]]:
    """Rows of ``metrics.csv`` of a run that may still be going on; none before its first round."""
    try:
        text = (Path(path) / "metrics.csv").read_text()
    except FileNotFoundError:
        return []
    written = text[: text.rfind("\n") + 1]  # the last line may be in the making
    return _rounds(written.splitlines())


def _rounds(lines: Iterable[str]) -> list[dict[str, float]]:
    """Rows of ``metrics.csv``."""
    return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(lines)]


@final
class Stopwatch:
    """Wall time since the start, and what of it went where.

    Args:
        parts: Seconds that had gone where before.
        seconds: Seconds before, in all.
    """

    def __init__(self, parts: Mapping[str, float] | None = None, seconds: float = 0.0) -> None:
        self._started = time.perf_counter() - seconds
        self.parts = defaultdict[str, float](float, parts or {})

    @property
    def seconds(self) -> float:
        """Since the stopwatch was made, and before."""
        return time.perf_counter() - self._started

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Count what happens inside towards a part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.parts[part] += time.perf_counter() - started
