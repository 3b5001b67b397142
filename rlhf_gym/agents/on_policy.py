"""Agents that learn from each rollout once: PPO, A2C and their like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from rlhf_gym.agents.agent import Agent, Schedule, falling
from rlhf_gym.agents.critic import CHANGES, CriticAfterFit, Paid, check_critic
from rlhf_gym.agents.exploring import act_on_policy
from rlhf_gym.agents.images import are_images
from rlhf_gym.agents.jax_state import in_jax
from rlhf_gym.agents.normalisation import NormalizedObservations, UpdateStatistics
from rlhf_gym.agents.options import MLP, build, check_options
from rlhf_gym.agents.reference import Closeness, Reference, check_algorithm
from rlhf_gym.agents.return_statistics import (
    StatisticsAfterFit,
    restart_statistics,
    restore_statistics,
    write_statistics,
)
from rlhf_gym.agents.staying import StayClose
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Segment, Trajectory

GAMMA = 0.99  # SB3's default of every on-policy algorithm
OPTIMIZER = {"eps": 1e-5, "fused": True}  # SB3's settings of Adam; fused, its step takes a third of the time
POLICY_OPTIONS = ["log_std_init"]  # options beside the algorithm's own, for its policy


@final
class OnPolicyAgent(Agent):
    """An on-policy algorithm of SB3, on the CPU.

    Args:
        sb3_class: PPO, A2C or any other OnPolicyAlgorithm.
        venv: The environments it learns in, wrapped in the learned reward.
        seed: Seed of its weights and actions. SB3 draws them from the global generators of NumPy, Python and torch,
            which are seeded here; the environments are not, because each episode has its own seed.
        total_timesteps: Environment steps of training in total.
        schedule: Schedule of the learning rate and, if the algorithm has one, the clip range.
        policy: SB3's name of the policy: MlpPolicy, or CnnPolicy for images.
        net_arch: Hidden units of policy and value networks.
        normalize_observations: Whether the policy normalises its observations (:class:`NormalizedObservations`).
        normalize_rewards: Whether SB3's VecNormalize divides rewards by the discounted return's standard deviation.
        return_statistics: Whether these statistics are kept when the reward function changes, or restarted from the new
            reward's returns on the latest trajectories.
        critic_after_fit: Whether the value function is then kept, rescaled, reset or warmed up
            (:mod:`rlhf_gym.agents.critic`); the policy stays.
        closeness: How close to stay to a reference policy, which is a copy of the initial one until `reference`
            restores other weights; None uses no reference.
        options: SB3's own keywords, and `log_std_init`, the initial log standard deviation of continuous actions.

    Attributes:
        reference: The reference policy and the cost of diverging from it; None without one.

    Raises:
        BadInput: On an option the algorithm doesn't take, environments it can't act in, return statistics to restart
            without `normalize_rewards`, a value function to change in an algorithm without one, or a policy whose
            divergence from a reference can't be computed exactly.
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
        policy: str = MLP,
        net_arch: Sequence[int] = (64, 64),
        normalize_observations: bool = False,
        normalize_rewards: bool = False,
        return_statistics: StatisticsAfterFit = "keep",
        critic_after_fit: CriticAfterFit = "keep",
        closeness: Closeness | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        settings = dict(options or {})
        check_options(sb3_class, settings, also=POLICY_OPTIONS)
        set_random_seed(seed)
        policy_kwargs: dict[str, Any] = {"net_arch": list(net_arch)}
        if "log_std_init" in settings:
            policy_kwargs["log_std_init"] = settings.pop("log_std_init")
        if issubclass(sb3_class, PPO):
            policy_kwargs["optimizer_kwargs"] = dict(OPTIMIZER)
        if normalize_observations:
            if in_jax(sb3_class):
                raise BadInput(
                    f"normalize_observations is on and {sb3_class.__name__}'s networks are JAX's; turn it off"
                )
            policy_kwargs["features_extractor_class"] = NormalizedObservations
            if are_images(venv.observation_space):
                policy_kwargs["normalize_images"] = False  # the statistics are of images not divided by 255
        if normalize_rewards:
            venv = VecNormalize(venv, norm_obs=False, gamma=settings.get("gamma", GAMMA))
        elif return_statistics == "restart":
            raise BadInput("return_statistics is restart and normalize_rewards is off, so there are none; use keep")
        sb3 = build(sb3_class, venv, policy=policy, policy_kwargs=policy_kwargs, **settings)
        super().__init__(sb3, total_timesteps=total_timesteps, schedule=schedule)
        self._change, self._restart = CHANGES.get(critic_after_fit), return_statistics == "restart"
        self._rng = np.random.default_rng(seed)
        if self._change:
            check_critic(sb3)
        self.reference: Reference | None = None
        if closeness is not None:
            check_algorithm(sb3)
            self.reference = Reference(sb3.policy, closeness)
        # The schedule is SB3's clip_range or SBX's clip_range_schedule, whose clip_range is a number.
        names = [name for name in ("clip_range", "clip_range_schedule") if callable(getattr(sb3, name, None))]
        self._clip_ranges = {name: float(getattr(sb3, name)(1.0)) for name in names}

    @property
    def portion(self) -> int:
        """A rollout: `n_steps` of each environment."""
        return self.sb3.n_envs * self.sb3.n_steps

    @property
    def generators(self) -> dict[str, np.random.Generator]:
        """See :attr:`Agent.generators`: the one that changes of the value function draw from."""
        return {"critic": self._rng}

    def act(self, observations: Array, noise: Array, *, rng: np.random.Generator) -> Array:
        """See :meth:`Agent.act`."""
        return act_on_policy(self.sb3, observations, noise, rng)

    def reward_changed(self, trajectories: Sequence[Trajectory | Segment]) -> None:
        """See :meth:`Agent.reward_changed`: restart return statistics and change the value function, as set."""
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

    def reset_critic(self) -> None:
        """See :meth:`Agent.reset_critic`; return statistics are reset too.

        Raises:
            BadInput: If the policy has no value network of its own.
        """
        check_critic(self.sb3, setting="agent.explore_steps", instead="0")
        CHANGES["reset"](self.sb3, (), self._rng)
        self._forget_returns()

    def restart(self) -> None:
        """See :meth:`Agent.restart`; return statistics are reset too."""
        super().restart()
        self._forget_returns()

    def _forget_returns(self) -> None:
        if (statistics := self.sb3.get_vec_normalize_env()) is not None:
            statistics.ret_rms = RunningMeanStd(shape=())
            statistics.returns[:] = 0

    def save(self, path: str | Path) -> None:
        """See :meth:`Agent.save`; also writes the return statistics and the reference beside it."""
        super().save(path)
        self._save_beside(Path(path).parent)

    def save_state(self, folder: Path) -> None:
        """See :meth:`Agent.save_state`; also writes the return statistics and the reference."""
        super().save_state(folder)
        self._save_beside(folder)

    def _save_beside(self, folder: Path) -> None:
        if (statistics := self.sb3.get_vec_normalize_env()) is not None:
            write_statistics(statistics, folder)
        if self.reference:
            self.reference.save(folder)

    def restore(self, folder: Path) -> None:
        """See :meth:`Agent.restore`; also restores the reference and, if they were saved, the return statistics."""
        super().restore(folder)
        if (statistics := self.sb3.get_vec_normalize_env()) is not None:
            restore_statistics(statistics, folder)
        if self.reference:
            self.reference.restore(folder)

    def pop_figures(self) -> dict[str, float]:
        """See :meth:`Agent.pop_figures`: the mean divergence from the reference, and beta."""
        return self.reference.pop_figures() if self.reference else {}

    def _prepare(self, end: int, left: float) -> BaseCallback | None:
        for name, start in self._clip_ranges.items():
            setattr(self.sb3, name, falling(start, left, self._least))
        normalizes = isinstance(getattr(self.sb3.policy, "features_extractor", None), NormalizedObservations)
        callbacks: list[BaseCallback] = [UpdateStatistics()] if normalizes else []
        if self.reference:
            callbacks.append(StayClose(self.reference))
        return CallbackList(callbacks) if callbacks else None
