"""Episodes of a fixed length, so that their length carries no information."""

from __future__ import annotations

from copy import copy
from typing import Any, SupportsFloat, final

import gymnasium
from gymnasium.utils import RecordConstructorArgs

from rlhf_gym.errors import BadInput


@final
class FixedHorizon(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Play every episode for exactly `horizon` steps.

    When the environment terminates, the observation freezes at the last one (it stays within the environment's bounds;
    stepping CartPole on would let the pole spin) and every further step pays `absorbing_reward`, until the episode is
    truncated. One that doesn't terminate is only truncated: `make_env` makes MuJoCo's bodies that can fall like that.
    This closes the leak of variable horizons: without terminations a constant reward teaches nothing (Kostrikov et al.
    2021). HORIZON.md, beside this file, says when to use it.

    Args:
        env: Environment to wrap.
        horizon: Steps of every episode.
        absorbing_reward: Reward of each step after a failure.

    Raises:
        BadInput: If `horizon` is below 1, or the environment itself truncates earlier.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], horizon: int, *, absorbing_reward: float = 0.0) -> None:
        RecordConstructorArgs.__init__(self, horizon=horizon, absorbing_reward=absorbing_reward)
        gymnasium.Wrapper.__init__(self, env)
        limit = env.spec.max_episode_steps if env.spec is not None else None
        if horizon < 1 or (limit is not None and horizon > limit):
            raise BadInput(f"env.fixed_horizon is {horizon}; use 1 to {limit or 'any number'}, where the episode ends")
        self._horizon, self._absorbing_reward = horizon, absorbing_reward
        self._steps = 0
        self._failed: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        self._steps, self._failed = 0, None
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Make one step; ``info["failed"]`` tells whether the episode is frozen, which a body lying still isn't."""
        self._steps += 1
        truncated = False
        info: dict[str, Any] = {}
        reward: SupportsFloat = self._absorbing_reward
        if self._failed is None:
            observation, reward, terminated, truncated, info = self.env.step(action)
            self._failed = copy(observation) if terminated else None
        else:
            observation = copy(self._failed)  # a copy each time: the caller may change it
        info = {**info, "failed": self._failed is not None}
        return observation, reward, False, bool(truncated or self._steps >= self._horizon), info
