"""Evaluation of a policy, by the environment's own reward or by a goal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rlhf_gym.envs import make_env
from rlhf_gym.segments import Array, Ending, Origin, Trajectory
from rlhf_gym.teachers import Goal, goal_rewards

Predict = Callable[[Array], tuple[Array, Any]]
"""A batch of observations (n, *obs) -> actions (n, *act) and a state that isn't used, as `PPO.predict` answers."""


def play(
    predict: Predict,
    env_id: str,
    *,
    seed: int,
    n_episodes: int = 20,
    env_kwargs: Mapping[str, Any] | None = None,
    fixed_horizon: int | None = None,
) -> list[Trajectory]:
    """Play whole episodes, each from a seed of its own, all side by side.

    Args:
        predict: The policy.
        env_id: Gymnasium id.
        seed: The episodes' seeds are drawn from it.
        n_episodes: How many.
        env_kwargs: Keyword arguments of the environment.
        fixed_horizon: Play for exactly this many steps; None is the unmodified environment.

    Returns:
        One trajectory an episode, with true rewards.
    """
    seeds = np.random.default_rng(seed).integers(2**31, size=n_episodes)
    origins = [Origin(env_id, int(s), dict(env_kwargs or {}), fixed_horizon) for s in seeds]
    envs = [make_env(origin) for origin in origins]
    # Copies: an environment may hand out one array again and again.
    observations = [[np.array(env.reset(seed=origin.seed)[0])] for env, origin in zip(envs, origins, strict=True)]
    actions: list[list[Array]] = [[] for _ in envs]
    rewards: list[list[float]] = [[] for _ in envs]
    ends: dict[int, Ending] = {}
    while len(ends) < n_episodes:
        running = [i for i in range(n_episodes) if i not in ends]
        chosen, _ = predict(np.stack([observations[i][-1] for i in running]))
        for i, action in zip(running, chosen, strict=True):
            observation, reward, terminated, truncated, _ = envs[i].step(action)
            observations[i].append(np.array(observation))
            actions[i].append(action)
            rewards[i].append(float(reward))
            if terminated or truncated:
                ends[i] = Ending.TERMINATED if terminated else Ending.TRUNCATED
    for env in envs:
        env.close()
    return [
        Trajectory(np.stack(observations[i]), np.stack(actions[i]), np.array(rewards[i]), ends[i], origins[i])
        for i in range(n_episodes)
    ]


def mean_return(trajectories: Sequence[Trajectory]) -> float:
    """Average the true returns of the episodes."""
    return float(np.mean([trajectory.true_return for trajectory in trajectories]))


def goal_return(goal: Goal, trajectories: Sequence[Trajectory]) -> float:
    """Average over the episodes the sum of a goal's rewards, in the goal's own unit.

    Raises:
        BadInput: If the goal gives something other than one finite number per step.
    """
    sums = [goal_rewards(goal, t.observations[:-1], t.actions, t.observations[1:]).sum() for t in trajectories]
    return float(np.mean(sums))
