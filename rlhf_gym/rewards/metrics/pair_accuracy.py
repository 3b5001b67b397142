"""Pair accuracy: how often the learned reward prefers the segment that the true one does."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.metrics.gap_accuracy import accuracies
from rlhf_gym.rewards.metrics.metric import OfRewards
from rlhf_gym.rewards.metrics.pairs import TIE
from rlhf_gym.segments import Array


def pair_accuracy(length: int = 25, pairs: int = 10_000, seed: int = 0) -> OfRewards:
    """Share of freshly drawn pairs of segments that both rewards order alike.

    Ties of the true reward are left out and those of the learned one count half, as in :func:`gap_accuracy`.

    Args:
        length: Steps of a segment; shorter trajectories are taken whole.
        pairs: How many are drawn.
        seed: Of the draw.

    Raises:
        BadInput: If a number isn't positive.
    """
    if min(length, pairs) < 1:
        raise BadInput(f"pair_accuracy got length {length} and pairs {pairs}; use at least 1 of each")

    def metric(learned: Sequence[Array], true: Sequence[Array]) -> float:
        windows = [(i, start) for i, one in enumerate(true) for start in range(max(1, len(one) - length + 1))]
        drawn = np.random.default_rng(seed).integers(len(windows), size=(pairs, 2))
        judged, sums = (_sums(rewards, windows, length)[drawn] for rewards in (learned, true))
        gaps = sums[:, 0] - sums[:, 1]
        apart = np.abs(gaps) > TIE * np.abs(sums).max()
        if not apart.any():
            return math.nan
        return float(accuracies(judged[apart, 0] - judged[apart, 1], gaps[apart])[0])

    return metric


def _sums(rewards: Sequence[Array], windows: Sequence[tuple[int, int]], length: int) -> Array:
    """Sum over each window, shape (W,)."""
    totals = [np.concatenate([[0.0], np.cumsum(one, dtype=np.float64)]) for one in rewards]
    return np.array([totals[i][min(start + length, len(totals[i]) - 1)] - totals[i][start] for i, start in windows])
