"""A run on disk: checkpoints while it goes on, and the files of a finished run."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import final

from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import Recorder
from rlhf_gym.errors import BadInput
from rlhf_gym.files import move_files, to_disk
from rlhf_gym.methods import Method
from rlhf_gym.preferences import Preference
from rlhf_gym.runs.checkpoint import (
    CHECKPOINTS,
    Rest,
    next_round,
    restore_checkpoint,
    save_checkpoint,
    set_damaged_aside,
)
from rlhf_gym.runs.directory import RunDirectory
from rlhf_gym.runs.metrics import forget_rounds_from
from rlhf_gym.runs.stopwatch import Stopwatch
from rlhf_gym.runs.strange_files import check_entries
from rlhf_gym.store import PreferenceStore

CHECKPOINT_SECONDS = 5.0  # at least, between checkpoints of a run without people
CHEAP_SECONDS = 0.25  # slower checkpoints are rarer, so that they take at most a 20th of the time
FILES = ("config.yaml", "policy.zip", "preferences.db")
REWARD = "reward_model"  # where the method learns one


@final
class Checkpoints:
    """The checkpoints of a run.

    Args:
        run: Its directory; None keeps none.
        often: Whether to write one after each round, because people gave their time, and not every few seconds.
        keep: Number of checkpoints to keep.
    """

    def __init__(self, run: RunDirectory | None, *, often: bool, keep: int = 2) -> None:
        self._run, self._often, self._keep = run, often, keep
        self._last, self._took = time.monotonic(), 0.0

    def save(
        self,
        finished: int,
        method: Method,
        recorders: Sequence[Recorder],
        watch: Stopwatch,
        *,
        rest: Rest | None = None,
        last: bool = False,
    ) -> None:
        """Write a checkpoint after a round, if one is due; after the `last` round it always is."""
        began = time.monotonic()
        due = began - self._last >= CHECKPOINT_SECONDS * max(1.0, self._took / CHEAP_SECONDS)
        if self._run and (self._often or last or due):
            to_disk(self._run / "metrics.csv")  # or a power cut might lose its rows, but not the checkpoint
            save_checkpoint(self._run / CHECKPOINTS, finished, method, recorders, watch, rest=rest, keep=self._keep)
            self._last = time.monotonic()
            self._took = self._last - began

    def restore(self, method: Method, recorders: Sequence[Recorder], *, rest: Rest | None = None) -> Stopwatch:
        """Restore the last checkpoint in place, drop the rounds after it, and return the times so far."""
        if self._run is None:
            return Stopwatch()
        directory = self._run / CHECKPOINTS
        watch = restore_checkpoint(directory, method, recorders, rest=rest)
        forget_rounds_from(self._run / "metrics.csv", next_round(directory))
        return watch or Stopwatch()


def finished_rounds(path: Path) -> int:
    """Count the rounds up to a run's last undamaged checkpoint, and rename damaged ones after it.

    Args:
        path: The run directory, which the caller has locked.

    Raises:
        BadInput: If there are checkpoints, and all of them are damaged.
    """
    set_damaged_aside(path / CHECKPOINTS)
    return next_round(path / CHECKPOINTS)


@final
class SavedRun:
    """A saved run: settings, policy, reward model and preferences, each in a file of its own.

    Args:
        path: Its directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(
        self, config: RLHFConfig, method: Method, preferences: Sequence[Preference], *, run: RunDirectory | None
    ) -> None:
        """Write the saved run.

        Args:
            config: Its settings.
            method: Its policy and reward model.
            preferences: Every current answer.
            run: The run's own directory, if it has one; saved there, an existing store is left as it is.

        Raises:
            BadInput: If the directory holds another run, or is a file.
        """
        elsewhere = run is None or self.path.resolve() != run.path.resolve()
        if elsewhere:
            RunDirectory(self.path).close()
        config.to_yaml(self.path / "config.yaml")
        new = self.path / ".saving"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        method.save(new)
        move_files(new, self.path)
        if elsewhere or not (self.path / "preferences.db").exists():
            with closing(PreferenceStore(self.path / "preferences.db")) as store:
                store.add(preferences)

    def config(self) -> RLHFConfig:
        """Read its settings, without run directory and store.

        Raises:
            BadInput: If a file is missing.
        """
        self._check(FILES)
        check_entries(self.path)
        config = RLHFConfig.from_run(self.path / "config.yaml")
        self._check(() if config.direct else (REWARD,))
        return config.replace(run_dir=None, feedback={"store": None, "run": None})

    def _check(self, names: Sequence[str]) -> None:
        if missing := [name for name in names if not (self.path / name).exists()]:
            raise BadInput(
                f"{self.path} holds no saved run ({', '.join(missing)} missing); use one that learn or save left"
            )

    def read_into(self, method: Method, store: PreferenceStore) -> None:
        """Restore a method and a store from what was saved.

        Raises:
            BadInput: If the database is damaged, or policy or reward model are of another environment.
        """
        method.restore(self.path)
        with closing(PreferenceStore(self.path / "preferences.db")) as saved:
            saved.check_one_run()
            store.add(saved.preferences())
