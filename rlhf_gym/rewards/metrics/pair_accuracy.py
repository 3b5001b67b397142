"""Pair accuracy: how often the learned reward prefers the segment that the true one does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.metrics.metric import OfRewards
from rlhf_gym.segments import Array


def pair_accuracy(length: int = 25, pairs: int = 10_000, seed: int = 0) -> OfRewards:
    """Share of pairs of segments, drawn anew, that both rewards order alike; ties of the true one are left out.

    Args:
        length: Steps of a segment; shorter trajectories are taken whole.
        pairs: How many.
        seed: Of the draw.

    Raises:
        BadInput: If a number isn't positive.
    """
    if min(length, pairs) < 1:
        raise BadInput(f"pair_accuracy got length {length} and pairs {pairs}; use at least 1 of each")

    def metric(learned: Sequence[Array], true: Sequence[Array]) -> float:
        windows = [(i, start) for i, one in enumerate(true) for start in range(max(1, len(one) - length + 1))]
        drawn = np.random.default_rng(seed).integers(len(windows), size=(pairs, 2))
        gaps = np.array([_gap(learned, windows, length, drawn), _gap(true, windows, length, drawn)])
        apart = gaps[:, gaps[1] != 0]
        return float((np.sign(apart[0]) == np.sign(apart[1])).mean()) if apart.size else math.nan

    return metric


def _gap(rewards: Sequence[Array], windows: Sequence[tuple[int, int]], length: int, pairs: Array) -> Array:
    """Sum over the first window of each pair, less that over the second."""
    totals = [np.concatenate([[0.0], np.cumsum(one, dtype=np.float64)]) for one in rewards]
    sums = np.array([totals[i][min(start + length, len(totals[i]) - 1)] - totals[i][start] for i, start in windows])
    return np.asarray(sums[pairs[:, 0]] - sums[pairs[:, 1]])
