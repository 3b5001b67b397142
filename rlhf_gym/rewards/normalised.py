"""A reward model's paid reward: the mean of its members' normalised rewards, less `pessimism` standard deviations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from rlhf_gym.segments import Array

if TYPE_CHECKING:
    from rlhf_gym.rewards.model import RewardModel


def pessimistic(members: Tensor, by: float) -> Tensor:
    """Compute the mean over members less `by` standard deviations, shape (M, S) to (S,)."""
    mean = members.mean(dim=0)
    return mean - by * members.std(dim=0, correction=0) if by else mean


def paid_by(model: RewardModel) -> Callable[[Array], Array]:
    """Copy a model's paid reward into a function that doesn't change with the model.

    It is in NumPy, as it is called for a few steps at a time, where torch's overhead dominates.

    Returns:
        From encoded steps, shape (S, D), to their paid rewards, float32, shape (S,).
    """
    members, pessimism = _normalised(model, each=model.pessimism > 0), np.float32(model.pessimism)
    paid_shift = np.float32(model.paid_shift)

    def rewards(inputs: Array) -> Array:
        each = members(inputs)
        paid = each.mean(axis=0)
        if pessimism:
            paid = paid - pessimism * each.std(axis=0)
        return np.asarray(paid + paid_shift, np.float32)

    return rewards


def spread_of(model: RewardModel) -> Callable[[Array], Array]:
    """Copy a model's disagreement into a function that doesn't change with the model.

    Returns:
        From encoded steps, shape (S, D), to the standard deviation of the members' normalised rewards, float32, shape
        (S,).
    """
    members = _normalised(model, each=True)
    return lambda inputs: np.asarray(members(inputs).std(axis=0), np.float32)


def _normalised(model: RewardModel, *, each: bool) -> Callable[[Array], Array]:
    """Copy each member's normalised reward into a function of encoded steps, shape (S, D) to (members, S).

    Args:
        model: As it is now.
        each: Whether all draws of a linear part are needed; otherwise one row, that of their mean, may stand for all.
    """
    mean, spread = model.input_mean.numpy().copy(), 1 / model.input_std.numpy()
    alike = 1 if model.linear else model.members
    scale, shift = (getattr(model, name).numpy()[:alike, None].copy() for name in ("output_scale", "output_shift"))
    clip = None if model.clip is None else np.float32(model.clip)
    members = _members(model, each=each)

    def rewards(inputs: Array) -> Array:
        standardised = (inputs - mean) * spread
        if clip is not None:
            np.minimum(standardised, clip, out=standardised)
            np.maximum(standardised, -clip, out=standardised)
        return np.asarray(members(inputs, standardised) * scale + shift)

    return rewards


def _members(model: RewardModel, *, each: bool) -> Callable[[Array, Array], Array]:
    """Copy each member's own reward into a function of raw and standardised inputs, shape (S, D) to (members, S)."""
    linear_share, network_share = model.shares.numpy().copy()
    networks = model.ensemble.numpy_function() if model.ensemble and network_share else None
    if model.linear is None:
        alone = networks or (lambda standardised: np.zeros((model.members, len(standardised)), np.float32))
        return lambda inputs, standardised: network_share * alone(standardised)
    linear = model.linear.numpy_function(each=each)
    if networks is None:
        return lambda inputs, standardised: linear_share * linear(inputs, standardised)
    at = np.arange(model.members) % model.ensemble_size

    def both(inputs: Array, standardised: Array) -> Array:
        nets = network_share * networks(standardised)
        rewards = linear_share * linear(inputs, standardised)
        return np.asarray(rewards + (nets[at] if len(rewards) > 1 else nets.mean(axis=0)))

    return both
