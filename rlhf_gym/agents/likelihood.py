"""Differentiable likelihood of actions, for methods that train an on-policy agent's policy themselves."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal, cast, final

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import CategoricalDistribution, DiagGaussianDistribution
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from rlhf_gym.agents.agent import Agent
from rlhf_gym.agents.images import channels_first
from rlhf_gym.agents.normalisation import NormalizedObservations
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array

Std = float | Literal["learned"] | None
KNOWN: tuple[type, ...] = (CategoricalDistribution, DiagGaussianDistribution)
STD_LEAST, STD_MOST = 0.05, 1.0  # bounds of a learned one, as shares of half the action's range


@final
class ActorLikelihood:
    """Log-probability of actions under an agent's policy, whose gradients train it.

    A Gaussian's standard deviation is fixed unless `std` is "learned", because the likelihood alone would shrink it
    until the policy stops exploring. With a fixed one, its constant is left out, so that log pi is
    -|a - mean|² / (2 std²), the squared error of Hejna et al. 2024 (their deterministic actors).

    Args:
        policy: Policy to train, in place.
        std: Standard deviation of each continuous action: a number, in the action's units; "learned"; or None, which
            keeps the policy's own.

    Raises:
        BadInput: If `std` is neither a number above 0, "learned" nor None.
    """

    def __init__(self, policy: ActorCriticPolicy, *, std: Std = None) -> None:
        number = isinstance(std, int | float) and not isinstance(std, bool)
        if std not in (None, "learned") and not (number and float(std) > 0):
            raise BadInput(f"method_options.std is {std!r}; use a number above 0, learned, or leave it out")
        self.policy, self._std = policy, std
        self._gaussian = isinstance(policy.action_dist, DiagGaussianDistribution)
        if number and self._gaussian:
            policy.log_std.data.fill_(float(np.log(cast(float, std))))

    def __call__(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Compute log pi(a|s), minus its value at the most likely action for a Gaussian with a fixed std.

        Args:
            observations: Shape (S, *obs).
            actions: Indices of discrete actions, shape (S,), or flattened continuous actions, shape (S, A).

        Returns:
            Shape (S,).
        """
        distribution = self.policy.get_distribution(channels_first(observations, self.policy.observation_space))
        logs = distribution.log_prob(actions)
        if self._gaussian and self._std != "learned":
            logs = logs - distribution.log_prob(distribution.mode())
        return logs

    def trained(self) -> list[torch.nn.Parameter]:
        """List the parameters to train: all but a fixed standard deviation; the value network gets no gradient."""
        named = self.policy.named_parameters()
        return [value for name, value in named if name != "log_std" or self._std == "learned"]

    @torch.no_grad()
    def hold_std(self) -> None:
        """Clamp a learned standard deviation; too small a one would stop exploration, and likelihoods would diverge."""
        if not (self._gaussian and self._std == "learned"):
            return
        box = cast(spaces.Box, self.policy.action_space)
        half = (box.high.astype(np.float64) - box.low.astype(np.float64)).reshape(-1) / 2
        logs = torch.from_numpy(np.log(np.where(np.isfinite(half), half, 1.0))).float()
        bounds = logs + float(np.log(STD_LEAST)), logs + float(np.log(STD_MOST))
        self.policy.log_std.copy_(self.policy.log_std.clamp(*bounds))

    @property
    def has_statistics(self) -> bool:
        """Whether the policy normalises observations and already has statistics."""
        extractor = self.policy.features_extractor
        return isinstance(extractor, NormalizedObservations) and bool(extractor.count.item())

    def normalise(self, observations: Array) -> None:
        """Replace the normalisation statistics by those of observations, shape (S, *obs), if the policy normalises."""
        extractor = self.policy.features_extractor
        if isinstance(extractor, NormalizedObservations):
            extractor.count.zero_()
            extractor.update(observations)

    def frozen_copy(self) -> ActorLikelihood:
        """Copy the policy as it is now."""
        copied = ActorLikelihood(copy.deepcopy(self.policy))
        copied._std = self._std
        return copied

    def become(self, other: ActorLikelihood) -> None:
        """Load the weights of another policy."""
        self.policy.load_state_dict(other.policy.state_dict())

    def weights(self) -> dict[str, Tensor]:
        """Copy the weights, each to its own memory, as safetensors requires."""
        return {name: value.detach().clone().contiguous() for name, value in self.policy.state_dict().items()}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Load what :meth:`weights` returned.

        Raises:
            RuntimeError: If they are another network's.
        """
        self.policy.load_state_dict(weights)


def actor_of(agent: Agent, *, method: str, std: Std) -> ActorLikelihood:
    """Return the likelihood of an agent's policy.

    Args:
        agent: Agent whose policy is to be trained.
        method: Name of the method, for the error message.
        std: As :class:`ActorLikelihood` takes it.

    Raises:
        BadInput: If it isn't a plain softmax or Gaussian policy of an on-policy algorithm, or `std` is given and
            actions are discrete.
    """
    sb3 = agent.sb3
    policy = sb3.policy
    plain = isinstance(policy, ActorCriticPolicy) and not hasattr(policy, "lstm_actor")  # a recurrent one
    acts = type(getattr(policy, "action_dist", None))
    if not (isinstance(sb3, OnPolicyAlgorithm) and plain and acts in KNOWN):
        raise BadInput(
            f"method is {method} and algo is {type(sb3).__name__} with actions {sb3.action_space}; a direct method "
            "trains a softmax or a Gaussian: use algo ppo or a2c without use_sde, and Discrete or Box actions"
        )
    actor = ActorLikelihood(cast(ActorCriticPolicy, policy), std=std)
    if std is not None and acts is CategoricalDistribution:
        raise BadInput(
            f"method_options.std is {std!r} and actions are {sb3.action_space}, which have none; leave it out"
        )
    return actor


def play_on(agent: Agent, steps: int) -> None:
    """Collect an on-policy agent's rollouts, exploring, without updating the policy.

    Step counts, episode figures and recordings go on as in training.

    Args:
        agent: An agent that :func:`actor_of` accepts.
        steps: Environment steps in total, a multiple of the agent's portion.

    Raises:
        BadInput: If `steps` is no such multiple.
    """
    if steps < 1 or steps % agent.portion:
        raise BadInput(f"steps is {steps} but the policy is played in {agent.portion} steps; use a multiple of them")
    sb3 = cast(OnPolicyAlgorithm, agent.sb3)
    total, callback = sb3._setup_learn(steps, None, reset_num_timesteps=False)
    assert sb3.env is not None
    while sb3.num_timesteps < total:
        sb3.collect_rollouts(sb3.env, callback, sb3.rollout_buffer, sb3.n_steps)
