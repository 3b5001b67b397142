"""The run directory; nothing in it is ever overwritten by another run."""

from __future__ import annotations

import json
import os
import shlex
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.files import write_text
from rlhf_gym.runs.metrics import metrics_so_far, read_rounds

try:
    import fcntl
except ImportError:  # Windows has no advisory locks: there, don't write one folder from two processes at once
    fcntl = None  # type: ignore[assignment]

DRAWN = ("env_steps", "labels", "true_return")  # of each round
FILES = ("config.yaml", "provenance.json", "metrics.csv", "summary.json", "policy.zip", "preferences.db", "asked.json")
ASKED = "asked.json"
FOLDERS = ("tensorboard", "checkpoints", "reward_model")


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
    """A lock on a folder, held until it is closed or the process ends; no lock if the file system has none.

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
        except BlockingIOError:
            self.close()
            raise
        except OSError:  # some network file systems lock nothing
            pass

    def close(self) -> None:
        """Release the lock; harmless if done twice."""
        if fcntl is not None:
            self._close()


@final
class RunDirectory:
    """The directory in which a run writes its files.

    Args:
        path: A directory without any file of a run; created if missing.
        resume: Whether to resume the run that it holds; :func:`rlhf_gym.runs.run_to_resume` refuses a finished one.

    Attributes:
        path: The directory's absolute path.

    Raises:
        BadInput: If it holds a run, is a file, or can't be made; with `resume`, unless it holds a run.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        self.path = Path(path).absolute()  # an environment may change the working folder
        self._began_here, self._made = not resume, False
        if resume:
            unfinished_run(path, finished_too=True)
            self._lock_alone()
            return
        if self.path.exists() and not self.path.is_dir():
            raise BadInput(f"run_dir {path} is a file; use a directory")
        self._made = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"run_dir {path} can't be made ({error.strerror}); use a place you may write to") from error
        self._lock_alone()
        if held := [name for name in (*FILES, *FOLDERS) if os.path.lexists(self.path / name)]:
            self.close()
            raise BadInput(f"run_dir {path} already holds a run ({', '.join(held)}); {_instead_of(self.path)}")

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def _lock_alone(self) -> None:
        """Keep other trainers out until :meth:`close`, or until this process ends in any way.

        Raises:
            BadInput: If another trainer has the directory, or it can't be opened.
        """
        try:
            self._lock = FolderLock(self.path)
        except BlockingIOError as error:
            raise BadInput(
                f"run_dir {self.path} is being trained by another process, or a run that is not closed; end that one "
                "first"
            ) from error
        except OSError as error:
            raise BadInput(f"run_dir {self.path} can't be opened ({error.strerror}); use one of your own") from error

    def close(self) -> None:
        """Release the lock; harmless if done twice."""
        self._lock.close()

    def discard(self) -> None:
        """Remove what this run wrote, unless it was resumed or has finished a round; nothing else is touched.

        The files removed have names that were free when the run began.
        """
        if self._began_here and not (self / "metrics.csv").exists():
            for name in (*FILES, *(f"preferences.db-{kind}" for kind in ("wal", "shm", "journal", "trainer"))):
                (self / name).unlink(missing_ok=True)
            for log in (self / "tensorboard").glob("events.out.tfevents.*"):
                log.unlink()
            for folder in (self / "tensorboard", *([self.path] if self._made else [])):
                with suppress(OSError):  # it is missing, or isn't empty
                    folder.rmdir()
        self.close()

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one JSON file, whole or not at all."""
        write_text(self.path / name, json.dumps(content, indent=1) + "\n")


def _instead_of(path: Path) -> str:
    """Say what to do if a directory holds a run already, or a saved one."""
    there = (path / "config.yaml").exists() and not (is_finished(path) or is_saved(path))
    return "use another directory" + (f", or go on with it: rlhf-gym resume {shlex.quote(str(path))}" if there else "")


def is_finished(path: str | Path) -> bool:
    """Test whether a directory holds a finished run: one with a whole summary.json."""
    try:
        summary = json.loads((Path(path) / "summary.json").read_text(encoding="utf-8"))
    except (OSError, *UNREADABLE):
        return False
    return isinstance(summary, dict) and bool(summary)


def is_saved(path: str | Path) -> bool:
    """Test whether a directory holds what `RLHF.save` wrote of a run: settings and a policy, but no rounds."""
    there = {
        name: (Path(path) / name).exists() for name in ("config.yaml", "policy.zip", "metrics.csv", "summary.json")
    }
    return list(there.values()) == [True, True, False, False]


def unfinished_run(path: str | Path, *, finished_too: bool = False) -> RLHFConfig:
    """Read the settings of a run that can be resumed.

    Args:
        path: Its directory.
        finished_too: Whether a finished run is accepted, as one that gets a larger budget.

    Raises:
        BadInput: If the directory holds no run, a finished one, or one that `RLHF.save` wrote.
    """
    path = Path(path)
    if not (path / "config.yaml").exists():
        raise BadInput(f"{path} holds no run (config.yaml missing); use the --run-dir of a train")
    if is_finished(path) and not finished_too:
        more = "give it more by --labels or --total-timesteps"
        raise BadInput(f"the run in {path} is finished; there is nothing to resume: {more}")
    if is_saved(path):
        raise BadInput(
            f"{path} is what save left of a run, without its rounds; there is nothing to resume: evaluate and watch "
            "play its policy, and train --preferences begins another run with its answers"
        )
    try:
        return RLHFConfig.from_run(path / "config.yaml").replace(run_dir=str(path))
    except BadInput as error:
        again = f"rlhf-gym train --preferences {shlex.quote(str(path))} --run-dir ANOTHER"
        raise BadInput(f"{error}; bring config.yaml back, or begin again with the answers: {again}") from error


def _not_finished(path: Path, missing: Sequence[str]) -> str:
    """Say why a place is no finished run, and what to do."""
    if not path.is_dir():
        is_what = "is a file" if path.exists() else "isn't there"
        return f"{path} {is_what}; name a run directory (the --run-dir of a train)"
    if is_saved(path):
        return f"{path} is what save left of a run, without its rounds; evaluate or watch it, or use the run's own"
    if "config.yaml" not in missing and "summary.json" in missing:
        return f"the run in {path} isn't finished; go on with it: rlhf-gym resume {shlex.quote(str(path))}"
    return f"{path} holds no finished run ({', '.join(missing)} missing); use the --run-dir of a train"


def read_so_far(path: str | Path) -> Run:
    """Read a run that may still be going on: its settings and rounds, and its summary, empty until it is finished.

    Raises:
        BadInput: If the directory holds no run, no round is done, or a file is damaged.
    """
    path = Path(path)
    if is_finished(path) or is_saved(path) or not (path / "config.yaml").is_file():
        return read_run(path)
    rounds = metrics_so_far(path)
    if not rounds:
        raise BadInput(f"the run in {path} has done no round yet; wait for one, or let rlhf-gym resume go on with it")
    _check_rounds(rounds)
    return Run(path, RLHFConfig.from_run(path / "config.yaml"), {}, rounds)


def _check_rounds(rounds: Sequence[Mapping[str, float]]) -> None:
    """Refuse rounds that lack a figure of `DRAWN`.

    Raises:
        BadInput: Naming the first missing figure.
    """
    if lacking := [name for name in DRAWN if rounds and name not in rounds[0]]:
        raise BadInput(f"metrics.csv has no {lacking[0]}; restore it from a copy")


def read_run(path: str | Path) -> Run:
    """Read a run directory.

    Raises:
        BadInput: If it doesn't hold a finished run, or a file of it is damaged.
    """
    path = Path(path)
    if missing := [name for name in FILES[:4] if not (path / name).is_file()]:  # a pipe would be read for ever
        raise BadInput(_not_finished(path, missing))
    config = RLHFConfig.from_run(path / "config.yaml")
    try:
        with (path / "metrics.csv").open(newline="") as file:
            metrics = read_rounds(file)
        summary = json.loads((path / "summary.json").read_text())
        if not is_finished(path):
            raise ValueError("no figures in summary.json")
        _check_rounds(metrics)
        if "labels" not in summary:
            raise ValueError("summary.json has no labels")
        return Run(path, config, summary, metrics)
    except UNREADABLE as error:
        again = f"run it again, or let rlhf-gym resume {shlex.quote(str(path))} write a cut summary.json anew"
        raise BadInput(f"metrics.csv or summary.json of {path} is damaged ({error}); {again}") from error
