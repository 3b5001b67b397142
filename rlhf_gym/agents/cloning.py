"""Behaviour cloning: fit a policy to recorded actions (Pomerleau 1991).

Minimises -mean log pi(a|s) of a policy of PPO, A2C or another actor-critic algorithm of SB3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor

from rlhf_gym.agents.normalisation import NormalizedObservations
from rlhf_gym.diverging import are_numbers
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Segment, Trajectory


@dataclass(frozen=True)
class Cloned:
    """The result of cloning.

    Args:
        losses: Mean -log pi(a|s) over the training pairs, before training and after each epoch.
        losses_heldout: The same over the held-out pairs; nan if there are none.
        kept: Epoch whose weights were kept; 0 is before training.
        pairs: Number of (observation, action) pairs trained on.
        pairs_heldout: Number of pairs held out.
    """

    losses: tuple[float, ...]
    losses_heldout: tuple[float, ...]
    kept: int
    pairs: int
    pairs_heldout: int


def clone(
    policy: Any,
    trajectories: Sequence[Trajectory | Segment],
    *,
    rng: np.random.Generator,
    epochs: int = 100,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
    heldout: float = 0.1,
    patience: int = 10,
    least_std: float = 0.1,
) -> Cloned:
    """Fit a policy to recorded actions, in place.

    The weights of the epoch with the smallest held-out loss are kept. Nothing is drawn from the global random
    generators, and the value function and the algorithm's optimizer don't change. A policy that normalises its
    observations first takes its statistics from the training pairs, unless it has some.

    Args:
        policy: An ActorCriticPolicy, such as `PPO(...).policy`.
        trajectories: Observations and actions of whole episodes or parts of them.
        rng: Draws what is held out, and the minibatches.
        epochs: Passes over the pairs, at most.
        batch_size: Pairs in each gradient step.
        learning_rate: Learning rate of Adam.
        heldout: Share of the trajectories held out, or of the steps if there are too few trajectories; 0 trains on all
            and keeps the last epoch's weights.
        patience: Number of epochs without a smaller held-out loss after which training stops.
        least_std: Lower bound of a Gaussian's standard deviation, in units of the actions; with a smaller one, the
            policy would hardly explore any more.

    Raises:
        BadInput: If the policy isn't an ActorCriticPolicy, there is nothing to fit, a number is out of range, or
            weights become nan or infinite.
    """
    check_clonable(policy)
    _check(heldout, epochs=epochs, batch_size=batch_size, patience=patience)
    fitted, held = _part(trajectories, heldout, rng)
    _take_statistics(policy, fitted)
    x, a = _tensors(policy, fitted)
    test = _tensors(policy, held) if held else None
    optimizer = torch.optim.Adam(
        [p for p in policy.parameters() if p.requires_grad], lr=learning_rate, eps=1e-5, fused=True
    )
    losses, heldouts = [_loss(policy, x, a)], [_loss(policy, *test) if test else math.nan]
    best, kept = _weights(policy), 0
    policy.set_training_mode(True)
    for epoch in range(1, epochs + 1):
        for batch in np.array_split(rng.permutation(len(x)), math.ceil(len(x) / batch_size)):
            optimizer.zero_grad()
            negative_log_likelihood(policy, x[batch], a[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            _hold_std(policy, least_std)
            if not are_numbers(policy.parameters()):
                raise BadInput(f"weights became nan or infinite in epoch {epoch}; use learning_rate < {learning_rate}")
        losses.append(_loss(policy, x, a))
        heldouts.append(_loss(policy, *test) if test else math.nan)
        if not test or heldouts[-1] < heldouts[kept]:
            best, kept = _weights(policy), epoch
        elif epoch - kept >= patience:
            break
    policy.load_state_dict(best)
    optimizer.zero_grad()
    policy.set_training_mode(False)
    return Cloned(tuple(losses), tuple(heldouts), kept, len(x), len(test[0]) if test else 0)


def negative_log_likelihood(policy: ActorCriticPolicy, observations: Tensor, actions: Tensor) -> Tensor:
    """Compute the mean -log pi(a|s), differentiable.

    Args:
        policy: A policy of SB3.
        observations: Shape (S, *obs).
        actions: Shape (S,) if they are discrete, else (S, D).
    """
    return -policy.get_distribution(observations).log_prob(actions).mean()


def check_clonable(policy: Any) -> None:
    """Refuse a policy that can't be trained by cloning.

    Raises:
        BadInput: If it isn't a policy of PPO, A2C or another actor-critic algorithm of SB3.
    """
    if not isinstance(policy, ActorCriticPolicy):
        raise BadInput(
            f"policy is a {type(policy).__name__}, which gives actions no likelihood to fit; use that of "
            "Stable-Baselines3's PPO or A2C"
        )


def _check(heldout: float, **counts: int) -> None:
    if not 0 <= heldout < 1:
        raise BadInput(f"heldout is {heldout}; use a share from 0 to below 1")
    for name, count in counts.items():
        if count < 1:
            raise BadInput(f"{name} is {count}; use at least 1")


Pairs = list[tuple[Array, Array]]
"""Observations (L, *obs) and actions (L, *act) of each trajectory."""


def _part(trajectories: Sequence[Trajectory | Segment], share: float, rng: np.random.Generator) -> tuple[Pairs, Pairs]:
    """Split trajectories into training and held-out ones; single steps, which are much alike, only if there are few."""
    pairs: Pairs = [(t.observations[:-1], t.actions) for t in trajectories]
    if pairs and len(pairs) * share < 1:
        pairs = [
            (o[None], a[None]) for observations, actions in pairs for o, a in zip(observations, actions, strict=True)
        ]
    n_held = math.ceil(len(pairs) * share) if share else 0
    if len(pairs) - n_held < 1:
        raise BadInput(f"got {len(pairs)} steps to clone, and heldout is {share}; expected at least 1 beside those")
    order = rng.permutation(len(pairs))
    return [pairs[i] for i in order[n_held:]], [pairs[i] for i in order[:n_held]]


def _take_statistics(policy: ActorCriticPolicy, pairs: Pairs) -> None:
    extractor = policy.features_extractor
    if isinstance(extractor, NormalizedObservations) and not extractor.count.item():
        extractor.update(np.concatenate([observations for observations, _ in pairs]))


def _tensors(policy: ActorCriticPolicy, pairs: Pairs) -> tuple[Tensor, Tensor]:
    observations = policy.obs_to_tensor(np.concatenate([o for o, _ in pairs]))[0]
    actions = torch.as_tensor(np.concatenate([a for _, a in pairs]))
    discrete = isinstance(policy.action_space, spaces.Discrete)
    return observations, actions.long() if discrete else actions.float().flatten(start_dim=1)  # type: ignore[return-value]


@torch.no_grad()
def _loss(policy: ActorCriticPolicy, observations: Tensor, actions: Tensor) -> float:
    return float(negative_log_likelihood(policy, observations, actions))


@torch.no_grad()
def _hold_std(policy: ActorCriticPolicy, least: float) -> None:
    if least > 0 and type(policy.action_dist) is DiagGaussianDistribution:
        policy.log_std.clamp_(min=math.log(least))


def _weights(policy: ActorCriticPolicy) -> dict[str, Any]:
    return deepcopy(policy.state_dict())
