"""Spearman's rank correlation: whether a step that is better by one reward is better by the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from rlhf_gym.rewards.metrics.correlation import pearson
from rlhf_gym.rewards.metrics.metric import OfRewards
from rlhf_gym.segments import Array


def spearman() -> OfRewards:
    """Correlate ranks over steps (Spearman 1904), unchanged by increasing transformations; ties get their mean rank."""

    def metric(learned: Sequence[Array], true: Sequence[Array]) -> float:
        return rank_correlation(np.concatenate(learned), np.concatenate(true))

    return metric


def rank_correlation(first: Array, second: Array) -> float:
    """Compute Spearman's correlation of two quantities, each of shape (S,); nan if one is constant."""
    return pearson(rankdata(first), rankdata(second))
