"""A reference policy that the learning policy stays close to, and the cost of diverging from it."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.distributions import CategoricalDistribution, DiagGaussianDistribution
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from torch.distributions import kl_divergence

from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.segments import Array

FILE, BETA = "reference.safetensors", "beta"
FIRST_BETA = 0.1  # initial value of an adapted beta, by default
ERROR_MOST = 0.2  # Ziegler et al. 2019, section 2.2
BETA_RANGE = 1000.0  # most by which an adapted beta differs from its first value


@dataclass(frozen=True)
class Closeness:
    """How close to its reference a policy stays.

    Args:
        beta: Cost of a nat, in units of reward; with a target, its initial value, where 0 means 0.1.
        target: Mean divergence per step, in nats, that beta is adapted to reach; None keeps beta constant.
        gain: Rate of the adaptation, K_beta of Ziegler et al. 2019, section 2.2.
    """

    beta: float = 0.0
    target: float | None = None
    gain: float = 1.0

    @property
    def first(self) -> float:
        """Beta at the start."""
        return self.beta or (FIRST_BETA if self.target is not None else 0.0)


@final
class Reference:
    """A frozen copy of a policy, and the cost of diverging from it.

    Args:
        policy: Policy to copy.
        closeness: How close to stay.

    Attributes:
        policy: The copy.
        beta: Current cost of a nat, in units of reward.

    Raises:
        BadInput: If the divergence between such policies can't be computed exactly.
    """

    def __init__(self, policy: ActorCriticPolicy, closeness: Closeness) -> None:
        _check(policy)
        self.policy, self.closeness, self.beta = deepcopy(policy), closeness, closeness.first
        self.policy.set_training_mode(False)
        self._seen: list[float] = []

    @torch.no_grad()
    def compare(self, policy: ActorCriticPolicy, observations: Array, actions: Array) -> tuple[Array, Array]:
        """Compare a policy with the reference.

        Args:
            policy: A policy with the same spaces.
            observations: Shape (S, *obs).
            actions: As a rollout buffer holds them, shape (S, D), with D = 1 for discrete actions.

        Returns:
            KL(policy || reference) in nats and log policy(a|s) - log reference(a|s), shape (S,) each.
        """
        x, a = torch.as_tensor(observations), torch.as_tensor(actions)
        if type(policy.action_dist) is CategoricalDistribution:
            a = a.long().flatten()
        ours, theirs = policy.get_distribution(x), self.policy.get_distribution(x)
        each = kl_divergence(ours.distribution, theirs.distribution)  # type: ignore[arg-type]
        nats = each if each.ndim == 1 else each.sum(dim=1)  # the dimensions of a diagonal Gaussian are independent
        return nats.numpy(), (ours.log_prob(a) - theirs.log_prob(a)).numpy()

    def adapt(self, nats: float) -> None:
        """Record a rollout's mean divergence and, with a target, adapt beta in proportion to the relative error.

        beta <- beta (1 + K e), with e = (KL - target) / target clipped to ±0.2 (Ziegler et al. 2019, section 2.2). Beta
        stays within a factor of 1000 of its first value: otherwise it would fall on while the policy stays below the
        target, and be too small for as long again once it strays.
        """
        self._seen.append(nats)
        if (target := self.closeness.target) is not None:
            error = min(max((nats - target) / target, -ERROR_MOST), ERROR_MOST)
            least, most = self.closeness.first / BETA_RANGE, self.closeness.first * BETA_RANGE
            self.beta = min(max(self.beta * (1 + self.closeness.gain * error), least), most)

    def pop_figures(self) -> dict[str, float]:
        """Return beta, and the mean divergence of the rollouts since the last call, nan if there were none."""
        seen, self._seen = self._seen, []
        return {"reference_kl": float(np.mean(seen)) if seen else math.nan, "kl_beta": self.beta}

    def save(self, folder: Path) -> None:
        """Write weights and beta."""
        weights = {name: weight.clone().contiguous() for name, weight in self.policy.state_dict().items()}
        save_file(weights, folder / FILE, metadata={BETA: repr(self.beta)})

    def restore(self, folder: Path) -> None:
        """Restore what :meth:`save` wrote.

        Raises:
            BadInput: If the file is missing, damaged, or of a policy with other layers.
        """
        path = folder / FILE
        try:
            with safe_open(path, framework="numpy") as file:
                beta = float((file.metadata() or {})[BETA])
            self.policy.load_state_dict(load_file(path))
        except (OSError, RuntimeError, SafetensorError, *UNREADABLE) as error:
            reason = (str(error).splitlines() or ["empty"])[0]
            raise BadInput(f"{path} can't be read as the reference of this policy: {reason}; bring it back") from error
        self.beta = beta


def check_algorithm(sb3: OnPolicyAlgorithm) -> None:
    """Refuse an algorithm whose rollouts can't be penalised for diverging from a reference.

    Raises:
        BadInput: Saying what to use.
    """
    if type(getattr(sb3, "rollout_buffer", None)) is not RolloutBuffer:
        raise BadInput(f"kl is set and {type(sb3).__name__} has no rollouts of Stable-Baselines3's PPO; use ppo or a2c")
    _check(sb3.policy)


def _check(policy: Any) -> None:
    known = (CategoricalDistribution, DiagGaussianDistribution)
    kind = type(getattr(policy, "action_dist", None))
    if not isinstance(policy, ActorCriticPolicy) or kind not in known:
        raise BadInput(
            f"kl is set and the policy, a {type(policy).__name__}, acts by a {kind.__name__}; use PPO or A2C with "
            "discrete actions, or continuous ones without use_sde"
        )
