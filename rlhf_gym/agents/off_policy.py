"""Agents that learn from a replay buffer: SAC, TD3, DQN and their like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, final

import numpy as np
from gymnasium import spaces
from stable_baselines3 import DQN, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.utils import LinearSchedule, set_random_seed
from stable_baselines3.common.vec_env import VecEnv

from rlhf_gym.agents.agent import Agent, Schedule
from rlhf_gym.agents.exploring import act_off_policy, of_one
from rlhf_gym.agents.images import channels_last
from rlhf_gym.agents.options import MLP, RESERVED, build, check_options
from rlhf_gym.agents.q_networks import reset_q
from rlhf_gym.agents.relabelling import RelabelledReplay
from rlhf_gym.agents.replay_memory import available_memory, check_replay_fits
from rlhf_gym.agents.state import restore_replay, write_replay
from rlhf_gym.envs import RewardFunction, VecLearnedReward
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array

WITH_ADAM = (SAC, TD3, DQN)
OPTIMIZER = {"fused": True}  # SB3 uses Adam; fused, its step takes a third of the time
STEP = (TrainFrequencyUnit.STEP.value, TrainFrequencyUnit.STEP)
RESERVED_HERE = {**RESERVED, "n_steps": "rewards are relabelled one step at a time"}


@final
class OffPolicyAgent(Agent):
    """An off-policy algorithm of SB3 on the CPU, whose replayed rewards are those of the current reward function.

    Args:
        sb3_class: SAC, TD3, DQN or any other OffPolicyAlgorithm.
        venv: The environments it learns in, wrapped in the learned reward.
        seed: As for :class:`OnPolicyAgent`; it also seeds random actions of the action space.
        total_timesteps: Environment steps of training in total, over which exploration decays.
        schedule: Schedule of the learning rate.
        policy: SB3's name of the policy: MlpPolicy, or CnnPolicy for images.
        net_arch: Hidden units of the networks; None is the algorithm's default.
        options: SB3's own keywords; `action_noise` may be a number, the standard deviation of Gaussian noise on actions
            scaled to [-1, 1].

    Raises:
        BadInput: On an option the algorithm doesn't take, environments it can't act in, or a replay buffer for which
            there isn't enough memory.
    """

    sb3: OffPolicyAlgorithm

    def __init__(
        self,
        sb3_class: type[OffPolicyAlgorithm],
        venv: VecEnv,
        *,
        seed: int,
        total_timesteps: int,
        schedule: Schedule = "constant",
        policy: str = MLP,
        net_arch: Sequence[int] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        settings = dict(options or {})
        check_options(sb3_class, settings, reserved=RESERVED_HERE)
        _read(settings, venv)
        size = settings.get("buffer_size", _default_size(sb3_class))
        check_replay_fits(venv, size, total_timesteps=total_timesteps, available=available_memory())
        set_random_seed(seed)
        policy_kwargs: dict[str, Any] = {} if net_arch is None else {"net_arch": list(net_arch)}
        if issubclass(sb3_class, WITH_ADAM):
            policy_kwargs["optimizer_kwargs"] = dict(OPTIMIZER)
        try:
            made: dict[str, Any] = {"replay_buffer_class": RelabelledReplay, "policy_kwargs": policy_kwargs}
            sb3 = build(sb3_class, venv, policy=policy, **made, **settings)
        except MemoryError as error:
            raise BadInput(
                f"option buffer_size is {size}, for which there is no memory: {error}; set agent.options.buffer_size "
                f"smaller, such as {min(size, total_timesteps)}, the steps that the run fills"
            ) from error
        sb3.action_space.seed(seed)  # SB3 does so only when it seeds the environments too
        super().__init__(sb3, total_timesteps=total_timesteps, schedule=schedule)
        if isinstance(venv, VecLearnedReward):
            self.pay(venv.reward_function)

    @property
    def replay(self) -> RelabelledReplay:
        """The transitions it learns from."""
        assert isinstance(self.sb3.replay_buffer, RelabelledReplay)
        return self.sb3.replay_buffer

    @property
    def portion(self) -> int:
        """`train_freq` steps of each environment."""
        assert isinstance(self.sb3.train_freq, TrainFreq)
        return self.sb3.n_envs * self.sb3.train_freq.frequency

    def _prepare(self, end: int, left: float) -> BaseCallback | None:
        if hasattr(self.sb3, "exploration_schedule"):  # DQN: over the whole run, not over each call
            sb3: Any = self.sb3
            fraction = sb3.exploration_fraction * self._total / end
            sb3.exploration_schedule = LinearSchedule(sb3.exploration_initial_eps, sb3.exploration_final_eps, fraction)
        return None

    def predict(self, observations: Array, *, deterministic: bool = True) -> tuple[Array, Any]:
        """See :meth:`Agent.predict`; exploring actions are random until `learning_starts`, as in SB3."""
        if deterministic or self.steps >= self.sb3.learning_starts:
            return super().predict(observations, deterministic=deterministic)
        space = self.sb3.action_space
        if np.ndim(observations) == len(self.sb3.observation_space.shape or ()):
            return np.asarray(space.sample()), None
        return np.array([space.sample() for _ in observations]), None

    def explore(self, observations: Array) -> Array:
        """See :meth:`Agent.explore`; from `learning_starts` on, `action_noise` is added, which `predict` leaves out."""
        actions = super().explore(observations)
        if self.steps < self.sb3.learning_starts or (noise := of_one(self.sb3.action_noise)) is None:
            return actions
        scaled = self.sb3.policy.scale_action(actions) + np.stack([noise() for _ in actions])
        return np.asarray(self.sb3.policy.unscale_action(np.clip(scaled, -1, 1)), actions.dtype)

    def act(self, observations: Array, noise: Array, *, rng: np.random.Generator) -> Array:
        """See :meth:`Agent.act`; until `learning_starts`, actions with a factor above 0 are random."""
        return act_off_policy(self.sb3, observations, noise, rng)

    def pay(self, reward_function: RewardFunction | None, zero: float = 0.0, unit: float = 1.0) -> None:
        """See :meth:`Agent.pay`; transitions from the replay buffer are paid the same, true rewards included."""
        super().pay(reward_function, zero, unit)
        self.replay.given = self._payer().given
        self.replay.reward_function = reward_function and self._scaled(reward_function)

    def _scaled(self, reward_function: RewardFunction) -> RewardFunction:
        """Wrap a reward function so that it returns what the environments pay."""
        payer = self._payer()
        space = payer.observation_space  # SB3 may have moved images' channels

        def reward(observations: Array, actions: Array, after: Array, terminated: Array) -> Array:
            seen = channels_last(observations, space), actions, channels_last(after, space), terminated
            return payer.given(np.asarray(reward_function(*seen), np.float32))

        return reward

    def reset_critic(self) -> None:
        """See :meth:`Agent.reset_critic`."""
        reset_q(self.sb3)

    def save_state(self, folder: Path) -> None:
        """See :meth:`Agent.save_state`; also writes the replay buffer."""
        super().save_state(folder)
        write_replay(self.replay, folder)

    def restore(self, folder: Path) -> None:
        """See :meth:`Agent.restore`; also restores the replay buffer, or empties it if it wasn't saved."""
        super().restore(folder)
        restore_replay(self.replay, folder)


def _default_size(sb3_class: type[OffPolicyAlgorithm]) -> int:
    """Return an algorithm's default `buffer_size`, or SB3's if its constructor doesn't name one."""
    named = (
        signature(sb3_class).parameters.get("buffer_size") or signature(OffPolicyAlgorithm).parameters["buffer_size"]
    )
    return int(named.default)


def _read(settings: dict[str, Any], venv: VecEnv) -> None:
    """Convert options that YAML can hold to SB3's objects, in place.

    Raises:
        BadInput: If `action_noise` or `train_freq` isn't valid, or `train_freq` counts episodes.
    """
    noise, frequency = settings.get("action_noise"), settings.get("train_freq")
    number = isinstance(noise, int | float) and not isinstance(noise, bool) and 0 <= noise < np.inf
    if not (noise is None or number or isinstance(noise, ActionNoise)):
        raise BadInput(f"option action_noise is {noise!r}; use a number from 0, the standard deviation")
    if number and isinstance(venv.action_space, spaces.Box):
        shape = venv.action_space.shape
        settings["action_noise"] = NormalActionNoise(np.zeros(shape), np.full(shape, noise))
    if frequency is not None:
        steps, unit = frequency if isinstance(frequency, list | tuple) and len(frequency) == 2 else (frequency, STEP[0])
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1 or unit not in STEP:
            raise BadInput(f"option train_freq is {frequency!r}; use a whole number of steps: episodes have no length")
        settings["train_freq"] = (steps, STEP[0])
