"""How likely a policy makes actions, with gradients: for methods that train an on-policy agent's policy themselves."""

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
STD_LEAST, STD_MOST = 0.05, 1.0  # where it is learned, as shares of half the action's range


@final
class ActorLikelihood:
    """The log-probability that an agent's policy gives actions, whose gradients train it.

    The standard deviation of a Gaussian is fixed unless it is to be learned: a likelihood alone would make it as small
    as it can, and the policy would stop exploring. Fixed, it has no part in what is compared, so that log pi stands for
    -|a - mean|² / (2 std²), the squared error of Hejna et al. 2024 (their deterministic actors).

    Args:
        policy: Changed in place.
        std: Of each continuous action: a number, in the action's units; "learned"; None is the policy's own.

    Raises:
        BadInput: If a number isn't above 0, or other things than numbers and "learned" are given.
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
        """Compute log pi(a|s), less its value at the most likely action where that depends on a fixed std alone.

        Args:
            observations: Shape (S, *obs).
            actions: Numbers of discrete actions, shape (S,), or continuous ones, flattened, shape (S, A).

        Returns:
            Shape (S,).
        """
        distribution = self.policy.get_distribution(channels_first(observations, self.policy.observation_space))
        logs = distribution.log_prob(actions)
        if self._gaussian and self._std != "learned":
            logs = logs - distribution.log_prob(distribution.mode())
        return logs

    def trained(self) -> list[torch.nn.Parameter]:
        """List what is trained: all but the value network, which gets no gradient, and a fixed standard deviation."""
        named = self.policy.named_parameters()
        return [value for name, value in named if name != "log_std" or self._std == "learned"]

    @torch.no_grad()
    def hold_std(self) -> None:
        """Keep a learned standard deviation within bounds: too small, it stops exploring, and likelihoods diverge."""
        if not (self._gaussian and self._std == "learned"):
            return
        box = cast(spaces.Box, self.policy.action_space)
        half = (box.high.astype(np.float64) - box.low.astype(np.float64)).reshape(-1) / 2
        logs = torch.from_numpy(np.log(np.where(np.isfinite(half), half, 1.0))).float()
        bounds = logs + float(np.log(STD_LEAST)), logs + float(np.log(STD_MOST))
        self.policy.log_std.copy_(self.policy.log_std.clamp(*bounds))

    @property
    def has_statistics(self) -> bool:
        """Whether observations are normalised, and by the statistics of some already."""
        extractor = self.policy.features_extractor
        return isinstance(extractor, NormalizedObservations) and bool(extractor.count.item())

    def normalise(self, observations: Array) -> None:
        """Take the statistics that normalise observations from these, shape (S, *obs); without any, do nothing."""
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
        """Take over another one's weights."""
        self.policy.load_state_dict(other.policy.state_dict())

    def weights(self) -> dict[str, Tensor]:
        """Collect its weights, each in memory of its own, as safetensors wants them."""
        return {name: value.detach().clone().contiguous() for name, value in self.policy.state_dict().items()}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`weights` gave.

        Raises:
            RuntimeError: If they are another network's.
        """
        self.policy.load_state_dict(weights)


def actor_of(agent: Agent, *, method: str, std: Std) -> ActorLikelihood:
    """Take hold of an agent's policy.

    Args:
        agent: Whose policy is to be trained.
        method: Who asks, for the message.
        std: As :class:`ActorLikelihood` takes it.

    Raises:
        BadInput: If it is no plain policy of an on-policy algorithm, which gives each action a probability.
    """
    sb3 = agent.sb3
    policy = sb3.policy
    plain = isinstance(policy, ActorCriticPolicy) and not hasattr(policy, "lstm_actor")  # of a recurrent one
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
    """Play an on-policy agent's policy, exploring, for some environment steps: its rollouts without their updates.

    Steps, episodes' figures and what is recorded below go on as they do where it learns.

    Args:
        agent: As :func:`actor_of` allows it.
        steps: Of all environments together, a multiple of the agent's portion.

    Raises:
        BadInput: If it is no such multiple.
    """
    if steps < 1 or steps % agent.portion:
        raise BadInput(f"steps is {steps} but the policy is played in {agent.portion} steps; use a multiple of them")
    sb3 = cast(OnPolicyAlgorithm, agent.sb3)
    total, callback = sb3._setup_learn(steps, None, reset_num_timesteps=False)
    assert sb3.env is not None
    while sb3.num_timesteps < total:
        sb3.collect_rollouts(sb3.env, callback, sb3.rollout_buffer, sb3.n_steps)
