"""Agents that learn from each rollout once: PPO, A2C and their like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rlhf_gym.agents.agent import Agent, Schedule, falling
from rlhf_gym.agents.critic import CHANGES, CriticAfterFit, Paid, check_critic
from rlhf_gym.agents.exploring import act_on_policy
from rlhf_gym.agents.normalisation import NormalizedObservations, UpdateStatistics
from rlhf_gym.agents.options import build, check_options
from rlhf_gym.agents.return_statistics import (
    StatisticsAfterFit,
    restart_statistics,
    restore_statistics,
    write_statistics,
)
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Segment, Trajectory

GAMMA = 0.99  # SB3's default of every on-policy algorithm
OPTIMIZER = {"eps": 1e-5, "fused": True}  # Adam as SB3 has it; fused, its step takes a third of the time


@final
class OnPolicyAgent(Agent):
    """An on-policy algorithm of SB3 with a multi-layer perceptron, on the CPU.

    Args:
        sb3_class: PPO, A2C or any other OnPolicyAlgorithm.
        venv: What it learns in, the learned reward included.
        seed: Of its weights and actions. SB3 draws them from the global generators of NumPy, Python and torch, which
            are seeded here; the environments are not, as their episodes have seeds of their own.
        total_timesteps: Environment steps of all portions together.
        schedule: Of the learning rate and, where the algorithm has one, the clip range.
        net_arch: Hidden units of policy and value networks.
        normalize_observations: Have the policy normalise what it is given (:class:`NormalizedObservations`).
        normalize_rewards: Have SB3's VecNormalize divide rewards by the standard deviation of the discounted return.
        return_statistics: Whether that goes on from the old reward's returns where the reward function has changed, or
            starts again from the new one's of the latest trajectories.
        critic_after_fit: What then happens to the value function: it is kept, rescaled, reset or warmed up
            (:mod:`rlhf_gym.agents.critic`); the policy stays.
        options: SB3's own keywords, and `log_std_init`, the log standard deviation of continuous actions at the start.

    Raises:
        BadInput: On an option the algorithm doesn't take, environments it can't act in, statistics that are not there,
            or an algorithm without a value network where that is to change.
    """

    sb3: OnPolicyAlgorithm

    def __init__(
        self,
        sb3_class: type[OnPolicyAlgorithm],
        venv: VecEnv,
        *,
        seed: int,
        total_timesteps: int,
        schedule: Schedule = "constant",
        net_arch: Sequence[int] = (64, 64),
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        return_statistics: StatisticsAfterFit = "keep",
        critic_after_fit: CriticAfterFit = "keep",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        settings = dict(options or {})
        check_options(sb3_class, settings, also=["log_std_init"])
        set_random_seed(seed)
        policy_kwargs: dict[str, Any] = {"net_arch": list(net_arch)}
        if "log_std_init" in settings:
            policy_kwargs["log_std_init"] = settings.pop("log_std_init")
        if issubclass(sb3_class, PPO):
            policy_kwargs["optimizer_kwargs"] = dict(OPTIMIZER)
        if normalize_observations:
            policy_kwargs["features_extractor_class"] = NormalizedObservations
        if normalize_rewards:
            venv = VecNormalize(venv, norm_obs=False, gamma=settings.get("gamma", GAMMA))
        elif return_statistics == "restart":
            raise BadInput("return_statistics is restart and normalize_rewards is off, so there are none; use keep")
        sb3 = build(sb3_class, venv, policy_kwargs=policy_kwargs, **settings)
        super().__init__(sb3, total_timesteps=total_timesteps, schedule=schedule)
        self._change, self._restart = CHANGES.get(critic_after_fit), return_statistics == "restart"
        self._rng = np.random.default_rng(seed)
        if self._change:
            check_critic(sb3)
        self._clip_range = float(sb3.clip_range(1.0)) if hasattr(sb3, "clip_range") else None

    @property
    def portion(self) -> int:
        """A rollout: `n_steps` of each environment."""
        return self.sb3.n_envs * self.sb3.n_steps

    def act(self, observations: Array, noise: Array, *, rng: np.random.Generator) -> Array:
        """See :meth:`Agent.act`."""
        return act_on_policy(self.sb3, observations, noise, rng)

    def reward_changed(self, trajectories: Sequence[Trajectory | Segment]) -> None:
        """See :meth:`Agent.reward_changed`: statistics of returns and value function, as the settings say."""
        if not trajectories or not (self._change or self._restart):
            return
        rewards, statistics = self._payer().pay_again(trajectories), self.sb3.get_vec_normalize_env()
        if statistics is not None:
            if self._restart:
                restart_statistics(statistics, rewards)
            rewards = [statistics.normalize_reward(each) for each in rewards]
        if self._change:
            paid = [Paid(t.observations, r, t.terminated) for t, r in zip(trajectories, rewards, strict=True)]
            self._change(self.sb3, paid, self._rng)

    def save(self, path: str | Path) -> None:
        """See :meth:`Agent.save`; beside it, the statistics of returns where rewards are divided by them."""
        super().save(path)
        if (statistics := self.sb3.get_vec_normalize_env()) is not None:
            write_statistics(statistics, Path(path).parent)

    def restore(self, folder: Path) -> None:
        """See :meth:`Agent.restore`; statistics of returns included, where they were saved."""
        super().restore(folder)
        if (statistics := self.sb3.get_vec_normalize_env()) is not None:
            restore_statistics(statistics, folder)

    def _prepare(self, end: int, left: float) -> BaseCallback | None:
        if self._clip_range is not None:
            self.sb3.clip_range = falling(self._clip_range, left)  # type: ignore[attr-defined]
        normalizes = isinstance(self.sb3.policy.features_extractor, NormalizedObservations)
        return UpdateStatistics() if normalizes else None
