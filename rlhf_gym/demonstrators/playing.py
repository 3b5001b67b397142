"""Demonstrations and corrections by a policy, which plays its own episodes or goes on from a given state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np

from rlhf_gym.envs import at_start, make_env
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Array, Ending, Origin, Segment, Trajectory, sample_segments
from rlhf_gym.teachers import Shows

Act = Callable[[Array], Array]
"""An observation, shape (*obs) -> an action, shape (*act)."""


def playing(act: Act, origin: Origin, *, rng: np.random.Generator) -> Shows:
    """Make a demonstrator of a policy.

    For a demonstration the policy plays a new episode, from which a window is cut at random, as for queries. A query of
    one option is corrected: the policy goes on from the state in which the option starts, for the option's length or
    until the episode ends. The teacher judges whether that is better.

    Args:
        act: The policy.
        origin: Where it plays its own episodes; their seeds are drawn.
        rng: Draws seeds and windows.

    Returns:
        A function of a query that raises BadInput if the state in which an option starts isn't reached again.
    """

    def shows(query: Query) -> Segment:
        if len(query.options) == 1:
            return _correct(act, query.options[0])
        here = replace(origin, seed=int(rng.integers(2**31)))
        with closing(make_env(here)) as env:
            episode = replace(play_from(env, env.reset(seed=here.seed)[0], act), origin=here)
        return sample_segments([episode], length=query.options[0].length, n=1, rng=rng)[0]

    return shows


def play_from(env: gymnasium.Env[Any, Any], observation: Array, act: Act, *, steps: int | None = None) -> Trajectory:
    """Play on in the episode of an environment.

    Args:
        env: With an episode under way.
        observation: Its latest observation, shape (*obs).
        act: The policy.
        steps: Most steps to play; None plays until the episode ends.

    Returns:
        The steps played, in the dtypes that a recorder keeps, without an origin.
    """
    seen: list[Array] = [np.array(observation)]
    actions: list[Array] = []
    rewards: list[float] = []
    ending = Ending.UNFINISHED
    while ending is Ending.UNFINISHED and (steps is None or len(actions) < steps):
        actions.append(np.asarray(act(seen[-1]), env.action_space.dtype))
        observation, reward, terminated, truncated, _ = env.step(actions[-1][()])
        seen.append(np.array(observation))  # a copy: an environment may hand out one array again and again
        rewards.append(float(reward))
        if terminated or truncated:
            ending = Ending.TERMINATED if terminated else Ending.TRUNCATED
    observations = np.stack(seen).astype(env.observation_space.dtype)
    return Trajectory(observations, np.stack(actions), np.array(rewards, np.float32), ending)


def _correct(act: Act, original: Segment) -> Segment:
    with at_start(original) as (env, observation):
        better = play_from(env, observation, act, steps=original.length).cut(0, original.length)
    return replace(better, earlier_actions=original.earlier_actions, origin=original.origin)
