"""A replay buffer whose rewards are those of the reward function in force when they are sampled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize

from rlhf_gym.envs import RewardFunction
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array


@final
class RelabelledReplay(ReplayBuffer):
    """Pay every sampled transition anew (PEBBLE; Lee et al. 2021, algorithm 2).

    For any off-policy algorithm of SB3, unmodified::

        sac = SAC("MlpPolicy", venv, replay_buffer_class=RelabelledReplay, replay_buffer_kwargs={"reward_function": f})
        sac.replay_buffer.reward_function = g  # from the next gradient step on

    SB3's `save` pickles `replay_buffer_kwargs`, and so `f`; set it afterwards where it shouldn't be saved.

    Args:
        *args: As SB3's ReplayBuffer takes them.
        reward_function: Called with observations (S, *obs), actions (S, *act) as the environment takes them, next
            observations (S, *obs) and terminated (S,); None leaves the rewards as they were stored: the environment's
            own where a wrapper of ours tells them, else what was paid.
        **kwargs: As SB3's ReplayBuffer takes them.

    Attributes:
        reward_function: May be replaced at any time.
        given: What is made of the environments' own rewards where there is no reward function; None leaves them.

    Raises:
        BadInput: If terminations are not kept apart from time limits.
    """

    def __init__(self, *args: Any, reward_function: RewardFunction | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.handle_timeout_termination:
            raise BadInput(
                "handle_timeout_termination is False, so that a time limit looks like a termination to the reward "
                "function; use True"
            )
        self.reward_function = reward_function
        self.given: Callable[[Array], Array] | None = None

    def add(
        self, obs: Array, next_obs: Array, action: Array, reward: Array, done: Array, infos: list[dict[str, Any]]
    ) -> None:
        """As SB3's, but the true reward is kept, where it is told: what was paid is computed anew."""
        true = [info.get("true_reward") for info in infos]
        super().add(obs, next_obs, action, reward if None in true else np.array(true), done, infos)

    def _get_samples(self, batch_inds: Array, env: VecNormalize | None = None) -> ReplayBufferSamples:
        samples = super()._get_samples(batch_inds)  # raw, as the reward function takes them
        if self.reward_function is not None:
            samples = samples._replace(rewards=self.to_torch(self._pay(samples)))
        elif self.given is not None:
            samples = samples._replace(rewards=self.to_torch(self.given(_array(samples.rewards))))
        if env is None:
            return samples
        return samples._replace(
            observations=self.to_torch(env.normalize_obs(_array(samples.observations))),  # type: ignore[arg-type]
            next_observations=self.to_torch(env.normalize_obs(_array(samples.next_observations))),  # type: ignore[arg-type]
            rewards=self.to_torch(self._normalize_reward(_array(samples.rewards), env)),
        )

    def _pay(self, samples: ReplayBufferSamples) -> Array:
        assert self.reward_function
        shape = (-1, *(self.observation_space.shape or ()))
        rewards = self.reward_function(
            _array(samples.observations).reshape(shape),
            self._unscale(_array(samples.actions)),
            _array(samples.next_observations).reshape(shape),
            _array(samples.dones).reshape(-1) > 0,  # SB3 has taken the time limits out
        )
        return np.array(rewards, np.float32).reshape(-1, 1)

    def _unscale(self, actions: Array) -> Array:
        """Scale actions back to the environment's own; SB3 stores those of a Box scaled to [-1, 1]."""
        actions = actions.reshape(-1, *(self.action_space.shape or ()))
        if not isinstance(self.action_space, spaces.Box):
            return actions
        low, high = self.action_space.low, self.action_space.high
        return np.asarray(low + 0.5 * (actions + 1.0) * (high - low))  # as BasePolicy.unscale_action


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.cpu().numpy())
