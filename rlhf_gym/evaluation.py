"""Evaluation of a policy, by the environment's own reward or by a goal."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, final

import gymnasium
import numpy as np

from rlhf_gym.envs import NoEnvironment, make_env
from rlhf_gym.segments import Array, Ending, Origin, Trajectory
from rlhf_gym.teachers import Goal, goal_rewards

Predict = Callable[[Array], tuple[Array, Any]]
"""A batch of observations (n, *obs) -> actions (n, *act) and a state that isn't used, as `PPO.predict` returns them."""


def play(
    predict: Predict,
    env_id: str,
    *,
    seed: int,
    n_episodes: int = 20,
    env_kwargs: Mapping[str, Any] | None = None,
    fixed_horizon: int | None = None,
    n_envs: int | None = None,
    step_seconds: float | None = None,
) -> list[Trajectory]:
    """Play whole episodes, each from a seed of its own, side by side.

    Args:
        predict: The policy.
        env_id: Gymnasium id.
        seed: Seed from which the episodes' seeds are drawn.
        n_episodes: Number of episodes.
        env_kwargs: Keyword arguments of the environment.
        fixed_horizon: Play for exactly this many steps; None is the unmodified environment.
        n_envs: Environments open at a time; None opens one for each episode, or as many as can be made.
        step_seconds: Most seconds that a reset or a step of an environment may take; None waits for ever.

    Returns:
        One trajectory per episode, with true rewards.

    Raises:
        BadInput: On an environment that can't be made, or breaks its contract.
    """
    seeds = np.random.default_rng(seed).integers(2**31, size=n_episodes)
    origins = [Origin(env_id, int(s), dict(env_kwargs or {}), fixed_horizon) for s in seeds]
    waiting = deque(enumerate(origins))
    played: dict[int, Trajectory] = {}
    with ExitStack() as opened:
        envs = _open(origins[: n_envs or n_episodes], opened, step_seconds=step_seconds, some=n_envs is None)
        running = [_Episode(env, *waiting.popleft()) for env in envs]
        while running:
            chosen, _ = predict(np.stack([episode.observations[-1] for episode in running]))
            for episode, action in zip(running, chosen, strict=True):
                episode.step(action)
            played |= {episode.number: episode.trajectory() for episode in running if episode.over}
            running = [
                _Episode(episode.env, *waiting.popleft()) if episode.over else episode
                for episode in running
                if waiting or not episode.over
            ]
    return [played[number] for number in range(n_episodes)]


def _open(
    origins: Sequence[Origin], opened: ExitStack, *, step_seconds: float | None, some: bool
) -> list[gymnasium.Env[Any, Any]]:
    """Make an environment for each origin; with `some`, as many of them as can be made, but at least one."""
    envs: list[gymnasium.Env[Any, Any]] = []
    for origin in origins:
        try:
            env = make_env(origin, step_seconds=step_seconds)
        except NoEnvironment as error:
            if not (some and envs):
                raise
            print(f"evaluates in {len(envs)} environments at a time, as there is no other: {error}", file=sys.stderr)
            break
        opened.callback(env.close)
        envs.append(env)
    return envs


@final
class _Episode:
    """An episode that is being played, and what happened in it so far."""

    def __init__(self, env: gymnasium.Env[Any, Any], number: int, origin: Origin) -> None:
        self.env, self.number, self._origin = env, number, origin
        self.observations: list[Array] = [env.reset(seed=origin.seed)[0]]
        self._actions: list[Array] = []
        self._rewards: list[float] = []
        self._ending = Ending.UNFINISHED

    @property
    def over(self) -> bool:
        return self._ending is not Ending.UNFINISHED

    def step(self, action: Array) -> None:
        played = np.array(action, self.env.action_space.dtype)
        observation, reward, terminated, truncated, _ = self.env.step(played)
        self.observations.append(observation)
        self._actions.append(played)
        self._rewards.append(float(reward))
        if terminated or truncated:
            self._ending = Ending.TERMINATED if terminated else Ending.TRUNCATED

    def trajectory(self) -> Trajectory:
        observations, actions, rewards = np.stack(self.observations), np.stack(self._actions), np.array(self._rewards)
        return Trajectory(observations, actions, rewards, self._ending, self._origin)


def mean_return(trajectories: Sequence[Trajectory]) -> float:
    """Average the true returns of the episodes."""
    return float(np.mean([trajectory.true_return for trajectory in trajectories]))


def goal_return(goal: Goal, trajectories: Sequence[Trajectory]) -> float:
    """Average the sum of a goal's rewards over the episodes, in the goal's own unit.

    Raises:
        BadInput: If the goal gives something other than one finite number per step.
    """
    sums = [goal_rewards(goal, t.observations[:-1], t.actions, t.observations[1:]).sum() for t in trajectories]
    return float(np.mean(sums))
