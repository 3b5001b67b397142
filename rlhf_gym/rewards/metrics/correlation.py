"""Correlation: how the learned and the true reward of a step go together."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlhf_gym.rewards.metrics.metric import Metric
from rlhf_gym.segments import Array


def correlation() -> Metric:
    """Pearson's correlation over steps (Pearson 1895); shift and positive scale don't matter to it."""

    def metric(learned: Sequence[Array], true: Sequence[Array]) -> float:
        both = np.stack([np.concatenate(learned), np.concatenate(true)]).astype(np.float64)
        if (both.std(axis=1) == 0).any():  # a constant goes with nothing
            return math.nan
        deviations = both - both.mean(axis=1, keepdims=True)
        return float(np.prod(deviations, axis=0).mean() / np.prod(both.std(axis=1)))

    return metric
