"""Correlation of the learned and the true reward over steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlhf_gym.rewards.metrics.metric import OfRewards
from rlhf_gym.segments import Array

FLAT = 1e-12  # a standard deviation below this share of a quantity's size is rounding


def correlation() -> OfRewards:
    """Pearson's correlation over steps (Pearson 1895); a shift or a positive scale doesn't change it."""

    def metric(learned: Sequence[Array], true: Sequence[Array]) -> float:
        return pearson(np.concatenate(learned), np.concatenate(true))

    return metric


def pearson(first: Array, second: Array) -> float:
    """Compute Pearson's correlation of two quantities, each of shape (S,); nan if one is constant."""
    both = np.stack([first, second]).astype(np.float64)
    if (both.std(axis=1) <= FLAT * np.abs(both).max(axis=1)).any():  # a constant has no correlation
        return math.nan
    deviations = both - both.mean(axis=1, keepdims=True)
    return float(np.prod(deviations, axis=0).mean() / np.prod(both.std(axis=1)))


def pearson_distance(first: Array, second: Array) -> float:
    """Compute sqrt((1 - rho) / 2), from 0 to 1 (Gleave et al. 2021, section 4); nan if one is constant."""
    return math.sqrt(max(1 - pearson(first, second), 0) / 2)
