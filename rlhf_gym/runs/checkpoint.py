"""What a run needs to go on after its last finished round, apart from its settings and its preferences."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rlhf_gym.agents import Agent
from rlhf_gym.envs import VecLearnedReward
from rlhf_gym.rewards import RewardModel
from rlhf_gym.segments import Ending, Origin, Trajectory

ARRAYS = ("observations", "actions", "rewards")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a run stood when a round was finished.

    Args:
        round: The round that was finished.
        agent: Who learns the policy.
        model: The reward model.
        reward_version: How often the reward model had been fitted.
        l2: Its weight decay.
        trajectories: What had been recorded last; queries are cut from it.
        env_steps: Environment steps so far.
        terminations: Episodes that had terminated so far.
        parts: What of the wall time so far went where.
        seconds: Wall time so far.
    """

    round: int
    agent: Agent
    model: RewardModel
    reward_version: int
    l2: float
    trajectories: Sequence[Trajectory]
    env_steps: int
    terminations: int
    parts: Mapping[str, float]
    seconds: float

    def save(self, directory: Path) -> None:
        """Write it beside older ones, all but one of which then go; whatever stops this, one of them is whole."""
        new, place = directory / "new", directory / f"{self.round:06d}"
        for leftover in (new, place):
            shutil.rmtree(leftover, ignore_errors=True)
        new.mkdir(parents=True)
        self.agent.save_state(new)
        self.model.save(new / "reward_model")
        arrays = {
            f"{name} {i}": np.ascontiguousarray(getattr(t, name))
            for i, t in enumerate(self.trajectories)
            for name in ARRAYS
        }
        save_file(arrays, new / "trajectories.safetensors")
        numbers = ("reward_version", "l2", "env_steps", "terminations", "parts", "seconds")
        episodes = [{"ending": t.ending.value, "origin": t.origin and asdict(t.origin)} for t in self.trajectories]
        state = {**{name: getattr(self, name) for name in numbers}, "episodes": episodes}
        (new / "state.json").write_text(json.dumps(state))
        new.rename(place)
        for old in _places(directory)[:-2]:  # a power cut may take the last one with it
            shutil.rmtree(old, ignore_errors=True)

    @classmethod
    def latest(cls, directory: Path, agent: Agent, venv: VecLearnedReward) -> Checkpoint | None:
        """Read the last one written, None if there is none.

        Args:
            directory: Where :meth:`save` wrote.
            agent: Takes up its state, in place.
            venv: What the agent goes on learning in.

        Raises:
            ValueError: If it is damaged.
        """
        if not (places := _places(directory)):
            return None
        try:
            return cls(round=int(places[-1].name), **_read(places[-1], agent, venv))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise ValueError(
                f"checkpoint {places[-1]} is damaged ({error}); remove it, and the run begins again with all answers"
            ) from error


def next_round(directory: Path) -> int:
    """The round that comes after the last checkpoint in a directory, 0 if there is none."""
    return max((int(place.name) + 1 for place in _places(directory)), default=0)


def _places(directory: Path) -> list[Path]:
    return sorted(place for place in directory.glob("*") if place.name.isdigit())


def _read(place: Path, agent: Agent, venv: VecLearnedReward) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((place / "state.json").read_text())
    arrays = load_file(place / "trajectories.safetensors")
    trajectories = [
        Trajectory(
            **{name: arrays[f"{name} {i}"] for name in ARRAYS},
            ending=Ending(episode["ending"]),
            origin=Origin(**episode["origin"]) if episode["origin"] else None,
        )
        for i, episode in enumerate(state.pop("episodes"))
    ]
    agent.restore(place)
    model = RewardModel.load(place / "reward_model", venv.observation_space, venv.action_space)
    return {"agent": agent, "model": model, "trajectories": trajectories, **state}
