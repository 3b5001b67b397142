"""Sources of the agent's reward. Each is a factory that returns the reward function from now on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.files import model_digest, model_folder
from rlhf_gym.rewards.learner import LEARNER
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.segments import Array, RewardFunction, Segment, Trajectory

Goal = Callable[[Array, Array, Array], Array]


class Situation(NamedTuple):
    """The inputs of a source."""

    learned: RewardFunction
    """The reward model's rewards, as they are now."""
    goal: Goal | None
    """Reward of each step by the teacher's goal; None if the environment's own is the true one."""
    trajectories: Sequence[Trajectory | Segment]
    """The policy's latest trajectories."""
    shift: bool
    """Whether the mean may be subtracted."""


class Paid(NamedTuple):
    """The agent's reward: (reward - zero) / unit."""

    reward_function: RewardFunction | None
    """None is the environment's own reward."""
    zero: float = 0.0
    unit: float = 1.0


Source = Callable[[Situation], Paid]


def learned() -> Source:
    """Pay the reward model's reward."""
    return lambda situation: Paid(situation.learned)


def true() -> Source:
    """Pay the environment's reward, or the goal's."""
    return lambda situation: Paid(_true(situation.goal))


def normalised_true() -> Source:
    """Pay the true reward, normalised to unit size over the latest steps, as a learned one is."""

    def source(situation: Situation) -> Paid:
        zero, unit = _size(_true_rewards(situation), shift=situation.shift)
        return Paid(_true(situation.goal), zero, unit)

    return source


def constant(value: float = 1.0) -> Source:
    """Pay the same reward for every step."""

    def reward(observations: Array, *_: Any) -> Array:
        return np.full(len(observations), value, np.float32)

    return lambda situation: Paid(reward)


def frozen(
    path: str,
    digest: str | None = None,
    observation_space: spaces.Space[Any] | None = None,
    action_space: spaces.Space[Any] | None = None,
) -> Source:
    """Pay what a reward model paid when it was saved; it is never fitted or rescaled again.

    Args:
        path: A run directory, whose last round's reward is paid, or where :meth:`RewardModel.save` wrote.
        digest: Digest of that model, so that a resumed run isn't paid by another one; a run stores it when it begins.
        observation_space: Observation space of the environment, which the weights have to fit; None is the model's.
        action_space: Likewise.

    Raises:
        BadInput: If there is no reward model, it was never fitted, has another digest, or doesn't fit the environment.
    """
    place = model_folder(str(path))  # the command line makes a path such as 2024 a number
    if not (place / "model.json").is_file():
        raise BadInput(
            f"reward.source_options.path is {path}, where no single reward model is; use the directory of a whole run "
            "that learned one, or of method objectives the folder of one objective in its reward_model"
        )
    if (place / LEARNER).is_file() and not json.loads((place / LEARNER).read_text())["version"]:
        raise BadInput(
            f"reward.source_options.path is {path}, whose reward model was never fitted; use a run that learned one"
        )
    if digest and (now := model_digest(place)) != digest:
        raise BadInput(
            f"reward.source_options.digest is {digest} and the reward model in {path} is {now} now; a run goes on with "
            "the reward that it was paid: bring that one back, or begin another run, without digest"
        )
    reward = RewardModel.load(place, observation_space, action_space).reward_function()
    return lambda situation: Paid(reward)


def _true(goal: Goal | None) -> RewardFunction | None:
    if goal is None:
        return None
    return lambda observations, actions, next_observations, _: goal(observations, actions, next_observations)


def _true_rewards(situation: Situation) -> Array:
    trajectories, goal = situation.trajectories, situation.goal
    if not trajectories:
        return np.zeros(1)
    if goal is None:
        return np.concatenate([t.rewards for t in trajectories])
    steps = [(t.observations[:-1], t.actions, t.observations[1:]) for t in trajectories]
    return goal(*(np.concatenate(arrays) for arrays in zip(*steps, strict=True)))


def _size(rewards: Array, *, shift: bool) -> tuple[float, float]:
    """Compute the shift and scale for mean 0 (where rewards may be shifted) and unit size."""
    zero = float(rewards.mean()) if shift else 0.0
    return zero, max(float(np.sqrt(np.square(rewards - zero).mean())), 1e-6)
