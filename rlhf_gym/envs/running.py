"""Replay episodes that were running when a run was interrupted, and check them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from rlhf_gym.generators import go_to, state_of
from rlhf_gym.segments import Array, Trajectory

Samplers = Sequence[dict[str, Any] | None]
"""States of the generators of an environment's spaces; None for one that was never drawn from."""


def samplers(env: gymnasium.Env[Any, Any]) -> Samplers:
    """Return the states of the generators of an environment's spaces, which no reset seeds."""
    return [state_of(space._np_random) if space._np_random is not None else None for space in _spaces(env)]


def go_to_samplers(env: gymnasium.Env[Any, Any], saved: Samplers) -> None:
    """Restore the generator states that :func:`samplers` returned."""
    for space, state in zip(_spaces(env), saved, strict=True):
        if state is not None:
            go_to(space.np_random, state)


def play_again(env: gymnasium.Env[Any, Any], seed: int, played: Trajectory | None) -> Array | None:
    """Bring an environment to the latest state of an episode, by replaying its actions.

    Args:
        env: The environment.
        seed: Seed of the episode.
        played: What was recorded of the episode; None if it had just begun.

    Returns:
        The latest observation, shape (*obs); None if the replay differs from what was recorded.
    """
    observation, _ = env.reset(seed=seed)
    if played is None:
        return np.array(observation)
    dtype, over = played.observations.dtype, False
    for stored, action, paid in zip(played.observations, played.actions, played.rewards, strict=False):
        if over or not np.array_equal(np.asarray(observation, dtype), stored):
            return None
        observation, reward, terminated, truncated, _ = env.step(action)
        over = bool(terminated or truncated)
        if played.rewards.dtype.type(reward) != paid:
            return None
    same = not over and np.array_equal(np.asarray(observation, dtype), played.observations[-1])
    return np.array(observation) if same else None


def _spaces(env: gymnasium.Env[Any, Any]) -> list[Any]:
    bare = env.unwrapped
    return [env.action_space, env.observation_space, bare.action_space, bare.observation_space]
