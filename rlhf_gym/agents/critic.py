"""PPO's value function after the reward function has changed: kept, rescaled, reset, or trained on the new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import nn

from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array

CriticAfterFit = Literal["keep", "rescale", "reset", "warm_up"]
WARM_UP_EPOCHS, WARM_UP_BATCH = 5, 512


class Paid(NamedTuple):
    """A trajectory with the rewards of the new reward function."""

    observations: Array
    """Shape (L + 1, *obs)."""
    rewards: Array
    """Shape (L,)."""
    terminated: bool
    """Whether the last step ended the episode for good."""


def check_critic(sb3: OnPolicyAlgorithm, *, setting: str = "critic_after_fit", instead: str = "keep") -> None:
    """Refuse an algorithm whose policy has no value network of its own.

    Args:
        sb3: The algorithm.
        setting: Name of the setting that would change the network.
        instead: Value of the setting that doesn't.

    Raises:
        BadInput: Saying what to set.
    """
    policy: Any = sb3.policy
    if not (isinstance(getattr(policy, "value_net", None), nn.Linear) and hasattr(policy.mlp_extractor, "value_net")):
        raise BadInput(f"{setting} is set and {type(sb3).__name__} has no value network; use {instead}")


def rescale(sb3: OnPolicyAlgorithm, paid: Sequence[Paid], rng: np.random.Generator) -> None:
    """Rescale the value function V to the a V + b that best fits the new rewards (PopArt; van Hasselt et al. 2016).

    Args:
        sb3: The algorithm; the last layer of its value network is changed.
        paid: The latest trajectories.
        rng: Not used.
    """
    a, b = affine(_values(sb3, paid), paid, sb3.gamma)
    head: nn.Linear = sb3.policy.value_net
    with torch.no_grad():
        head.weight.mul_(a)
        head.bias.mul_(a).add_(b)


def reset(sb3: OnPolicyAlgorithm, paid: Sequence[Paid], rng: np.random.Generator) -> None:
    """Reinitialise the value network as SB3 does, and clear its optimizer's moments; see :func:`rescale`."""
    policy: Any = sb3.policy
    for module, gain in ((policy.mlp_extractor.value_net, np.sqrt(2)), (policy.value_net, 1.0)):
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                policy.init_weights(layer, gain=gain) if policy.ortho_init else layer.reset_parameters()
    for parameter in _parameters(sb3):
        policy.optimizer.state.pop(parameter, None)


def warm_up(sb3: OnPolicyAlgorithm, paid: Sequence[Paid], rng: np.random.Generator) -> None:
    """Rescale the value function, then regress it for some epochs on the new reward's lambda-returns.

    Args:
        sb3: The algorithm; its value network is trained at the algorithm's learning rate.
        paid: The latest trajectories.
        rng: Source of the batches.
    """
    rescale(sb3, paid, rng)
    policy: Any = sb3.policy
    observations = policy.obs_to_tensor(np.concatenate([p.observations[:-1] for p in paid]))[0]
    optimizer = torch.optim.Adam(_parameters(sb3), lr=policy.optimizer.param_groups[0]["lr"], fused=True)
    for _ in range(WARM_UP_EPOCHS):
        returns = lambda_returns(_values(sb3, paid), paid, sb3.gamma, sb3.gae_lambda)
        targets = torch.from_numpy(np.concatenate(returns).astype(np.float32))
        for batch in np.array_split(rng.permutation(len(targets)), max(1, len(targets) // WARM_UP_BATCH)):
            values = policy.predict_values(observations[batch])
            optimizer.zero_grad()
            nn.functional.mse_loss(values.flatten(), targets[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    policy.optimizer.zero_grad()


Change = Callable[[OnPolicyAlgorithm, Sequence[Paid], np.random.Generator], None]
CHANGES: Mapping[CriticAfterFit, Change] = {"rescale": rescale, "reset": reset, "warm_up": warm_up}


def affine(values: Sequence[Array], paid: Sequence[Paid], gamma: float) -> tuple[float, float]:
    """Fit a and b by least squares so that a V + b is the discounted return from each step on.

    A trajectory that wasn't terminated is bootstrapped with a V + b of its last observation.

    Args:
        values: V of each trajectory's observations, shape (L + 1,) each.
        paid: The trajectories.
        gamma: Discount.
    """
    sides, returns = [], []
    for v, p in zip(values, paid, strict=True):
        beyond = 0.0 if p.terminated else gamma ** np.arange(len(p.rewards), 0, -1.0)
        sides.append(np.stack([v[:-1] - beyond * v[-1], np.broadcast_to(1 - beyond, len(p.rewards))], axis=1))
        returns.append(_backwards(p.rewards, gamma))
    (a, b), *_ = np.linalg.lstsq(np.concatenate(sides), np.concatenate(returns), rcond=None)
    return float(a), float(b)


def lambda_returns(values: Sequence[Array], paid: Sequence[Paid], gamma: float, lambda_: float) -> list[Array]:
    """Compute each step's lambda-return (Sutton & Barto 2018, eq. 12.18), shape (L,) each; see :func:`affine`."""
    found = []
    for v, p in zip(values, paid, strict=True):
        following = np.append(v[1:-1], 0.0 if p.terminated else v[-1])
        terms = p.rewards + gamma * (1 - lambda_) * following
        terms[-1] += gamma * lambda_ * following[-1]
        found.append(_backwards(terms, gamma * lambda_))
    return found


def _backwards(terms: Array, decay: float) -> Array:
    """Compute the discounted sum of the terms from each step on."""
    from scipy.signal import lfilter  # slow to import, and most runs don't need it

    return np.asarray(lfilter([1.0], [1.0, -decay], terms[::-1])[::-1])


@torch.no_grad()
def _values(sb3: OnPolicyAlgorithm, paid: Sequence[Paid]) -> list[Array]:
    """Compute V of each trajectory's observations, shape (L + 1,) each."""
    policy: Any = sb3.policy
    observations = policy.obs_to_tensor(np.concatenate([p.observations for p in paid]))[0]
    values = policy.predict_values(observations).numpy().ravel().astype(np.float64)
    return np.split(values, np.cumsum([len(p.observations) for p in paid])[:-1])


def _parameters(sb3: OnPolicyAlgorithm) -> list[nn.Parameter]:
    policy: Any = sb3.policy
    return [*policy.mlp_extractor.value_net.parameters(), *policy.value_net.parameters()]
