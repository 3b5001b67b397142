"""A run on disk: checkpoints while it goes on, and the files of a finished run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import final

from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import Recorder
from rlhf_gym.errors import BadInput
from rlhf_gym.methods import Method
from rlhf_gym.preferences import Preference
from rlhf_gym.runs.checkpoint import CHECKPOINTS, next_round, restore_checkpoint, save_checkpoint
from rlhf_gym.runs.directory import RunDirectory
from rlhf_gym.runs.metrics import forget_rounds_from
from rlhf_gym.runs.stopwatch import Stopwatch
from rlhf_gym.store import PreferenceStore

CHECKPOINT_SECONDS = 60.0  # between checkpoints of a run that nobody's time went into
FILES = ("config.yaml", "policy.zip", "preferences.db")
REWARD = "reward_model"  # where the method learns one


@final
class Checkpoints:
    """The checkpoints of a run.

    Args:
        run: Its directory; None keeps none.
        often: Whether each round leaves one, as people gave it their time, or one a minute is enough.
    """

    def __init__(self, run: RunDirectory | None, *, often: bool) -> None:
        self._run, self._often, self._last = run, often, time.monotonic()

    def save(self, finished: int, method: Method, recorders: Sequence[Recorder], watch: Stopwatch) -> None:
        """Write a checkpoint after a round, if one is due."""
        if self._run and (self._often or time.monotonic() - self._last >= CHECKPOINT_SECONDS):
            self._last = time.monotonic()
            save_checkpoint(self._run / CHECKPOINTS, finished, method, recorders, watch)

    def restore(self, method: Method, recorders: Sequence[Recorder]) -> Stopwatch:
        """Restore the last one, in place, and drop the rounds after it; returns the times so far."""
        if self._run is None:
            return Stopwatch()
        directory = self._run / CHECKPOINTS
        watch = restore_checkpoint(directory, method, recorders)
        forget_rounds_from(self._run / "metrics.csv", next_round(directory))
        return watch or Stopwatch()


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
        """Write all of it.

        Args:
            config: Settings.
            method: Policy and reward model.
            preferences: Every current answer.
            run: The run's own directory, whose store is there already.

        Raises:
            BadInput: If the directory holds another run, or is a file.
        """
        elsewhere = run is None or self.path.resolve() != run.path.resolve()
        if elsewhere:
            RunDirectory(self.path).close()
        config.to_yaml(self.path / "config.yaml")
        method.save(self.path)
        if elsewhere or not (self.path / "preferences.db").exists():
            with closing(PreferenceStore(self.path / "preferences.db")) as store:
                store.add(preferences)

    def config(self) -> RLHFConfig:
        """Read its settings, for a run in memory.

        Raises:
            BadInput: If a file is missing.
        """
        self._check(FILES)
        config = RLHFConfig.from_yaml(self.path / "config.yaml")
        self._check(() if config.direct else (REWARD,))
        return config.replace(run_dir=None, feedback={"store": None, "preferences": None})

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
            store.add(saved.preferences())
