"""Reward functions: a model's rewards, and combinations of other functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np

from rlhf_gym.rewards.encoding import Encoding
from rlhf_gym.segments import Array, RewardFunction


@final
class RewardOfSteps:
    """A function from steps to rewards (:meth:`RewardModel.reward_function`).

    Args:
        encoding: From steps to features.
        rewards: From features (S, D) to rewards (S,).
    """

    def __init__(self, encoding: Encoding, rewards: Callable[[Array], Array]) -> None:
        self._encoding, self._rewards, self._one = encoding, rewards, len(encoding.observation_shape)

    def __call__(
        self, observations: Array, actions: Array, next_observations: Array, terminated: Array | None = None
    ) -> Any:
        """Pay for one step, or for a batch.

        Args:
            observations: Shape (S, *obs), or (*obs) for one step.
            actions: Shape (S, *act), or (*act).
            next_observations: Like `observations`.
            terminated: Not used: a step is paid the same whether or not it ends the episode, and no step follows a
                termination.

        Returns:
            float32, shape (S,); for one step a float.
        """
        if np.ndim(observations) == self._one:
            step = (np.asarray(part)[None] for part in (observations, actions, next_observations))
            return float(self._rewards(self._encoding(*step))[0])
        steps, at_once = len(observations), self._encoding.at_once(len(observations))
        if at_once >= steps:
            return self._rewards(self._encoding(observations, actions, next_observations))
        each = observations, actions, next_observations
        parts = [[part[start : start + at_once] for part in each] for start in range(0, steps, at_once)]
        return np.concatenate([self._rewards(self._encoding(*part)) for part in parts])


def scaled(pay: RewardFunction, *, zero: float = 0.0, unit: float = 1.0) -> RewardFunction:
    """Shift and scale a reward function: (reward - zero) / unit.

    Args:
        pay: The reward function.
        zero: Subtracted from each reward.
        unit: Divides each shifted reward.

    Raises:
        ValueError: If the unit is 0.
    """
    if unit == 0:
        raise ValueError("unit is 0; expected the size of a reward, which rewards are divided by")

    def reward(observations: Array, actions: Array, next_observations: Array, terminated: Array) -> Array:
        rewards = pay(observations, actions, next_observations, terminated)
        return (rewards - np.float32(zero)) / np.float32(unit)

    return reward


def weighted(rewards: Sequence[RewardFunction], weights: Sequence[float]) -> RewardFunction:
    """Pay the weighted sum of several rewards.

    Args:
        rewards: At least one.
        weights: One for each.
    """

    def reward(observations: Array, actions: Array, next_observations: Array, terminated: Array) -> Array:
        each = [pay(observations, actions, next_observations, terminated) for pay in rewards]
        return np.asarray(sum(np.float32(w) * r for w, r in zip(weights, each, strict=True)), np.float32)

    return reward
