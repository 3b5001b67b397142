"""A run as it is kept: settings, policy, reward model and preferences, each in a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rlhf_gym.agents import Agent
from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import VecLearnedReward
from rlhf_gym.preferences import Preference
from rlhf_gym.rewards import RewardModel
from rlhf_gym.store import PreferenceStore

FILES = ("config.yaml", "policy.zip", "reward_model", "preferences.db")


@dataclass(frozen=True)
class SavedRun:
    """A directory that such a run is in, or comes to be in."""

    path: Path

    def write(self, config: RLHFConfig, agent: Agent, model: RewardModel) -> None:
        """Write all but the preferences."""
        config.to_yaml(self.path / "config.yaml")
        agent.save(self.path / "policy.zip")
        model.save(self.path / "reward_model")

    @property
    def has_preferences(self) -> bool:
        """Whether there is a store; not so while the run's is a server."""
        return (self.path / "preferences.db").exists()

    def add_preferences(self, preferences: Sequence[Preference]) -> None:
        """Put preferences into the directory's store, made if it is missing."""
        with closing(PreferenceStore(self.path / "preferences.db")) as store:
            store.add(preferences)

    def check(self) -> None:
        """Refuse a directory that holds no whole run.

        Raises:
            ValueError: If a file is missing.
        """
        if missing := [name for name in FILES if not (self.path / name).exists()]:
            raise ValueError(
                f"{self.path} holds no saved run ({', '.join(missing)} missing); use one that learn or save left"
            )

    def config(self) -> RLHFConfig:
        """Its settings."""
        return RLHFConfig.from_yaml(self.path / "config.yaml")

    def model(self, venv: VecLearnedReward) -> RewardModel:
        """Its reward model."""
        return RewardModel.load(self.path / "reward_model", venv.observation_space, venv.action_space)

    def preferences(self) -> list[Preference]:
        """Every answer that stands.

        Raises:
            ValueError: If the database is damaged.
        """
        with closing(PreferenceStore(self.path / "preferences.db")) as store:
            return store.preferences()
