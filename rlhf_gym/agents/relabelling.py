"""A replay buffer that computes rewards by the current reward function whenever it is sampled."""

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
    """Recompute the reward of every sampled transition (PEBBLE; Lee et al. 2021, algorithm 2).

    For any off-policy algorithm of SB3, unmodified::

        sac = SAC("MlpPolicy", venv, replay_buffer_class=RelabelledReplay, replay_buffer_kwargs={"reward_function": f})
        sac.replay_buffer.reward_function = g  # from the next gradient step on

    SB3's `save` pickles `replay_buffer_kwargs`, including `f`; to avoid that, set `reward_function` afterwards. SB3
    stores images with their channels first: a reward function of the environment's own has to move them back.

    Args:
        *args: As SB3's ReplayBuffer takes them.
        reward_function: Called with observations (S, *obs), actions (S, *act) as the environment takes them, next
            observations (S, *obs) and terminated (S,); None keeps the stored rewards: the environment's own if a
            wrapper of ours reports them, else those that were paid.
        **kwargs: As SB3's ReplayBuffer takes them.

    Attributes:
        reward_function: May be replaced at any time.
        given: Transforms the stored rewards if there is no reward function; None keeps them.

    Raises:
        BadInput: If `handle_timeout_termination` is False.
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
        """Store transitions as SB3 does, but with the true rewards if `infos` have them; paid ones are recomputed."""
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
            _array(samples.dones).reshape(-1) > 0,  # SB3 has cleared those at time limits
        )
        return np.array(rewards, np.float32).reshape(-1, 1)

    def _unscale(self, actions: Array) -> Array:
        """Scale actions back to the action space; SB3 stores those of a Box scaled to [-1, 1]."""
        actions = actions.reshape(-1, *(self.action_space.shape or ()))
        if not isinstance(self.action_space, spaces.Box):
            return actions
        low, high = self.action_space.low, self.action_space.high
        return np.asarray(low + 0.5 * (actions + 1.0) * (high - low))  # as BasePolicy.unscale_action


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.cpu().numpy())
