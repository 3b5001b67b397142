"""Gap accuracy: how often both rewards order two segments alike, by the size of the true gap."""

from __future__ import annotations

import math

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.rewards.metrics.metric import OfJudged, TooFew
from rlhf_gym.rewards.metrics.pairs import draw_pairs
from rlhf_gym.segments import Array

LEAST = 40


def gap_accuracy(quarter: int | None = None, pairs: int = 10_000, seed: int = 0) -> OfJudged:
    """Share of held-out pairs of segments that both rewards order alike; ties of the true one are left out.

    Args:
        quarter: Of the pairs sorted by the size of the true gap: 1 the closest quarter, 4 the clearest; None is all.
        pairs: How many are drawn.
        seed: Of the draw.

    Raises:
        BadInput: If the quarter isn't one of 1 to 4, or no pair is asked for.
    """
    if quarter not in (None, 1, 2, 3, 4) or pairs < 1:
        raise BadInput(
            f"gap_accuracy got quarter {quarter} and pairs {pairs}; use 1 to 4, or None, and at least 1 pair"
        )

    def metric(judged: Judged) -> float:
        drawn = draw_pairs(judged, metric="gap_accuracy", pairs=pairs, seed=seed)
        apart = drawn.true != 0
        if not apart.any():
            return math.nan
        if apart.sum() < LEAST:
            raise TooFew("gap_accuracy", LEAST, "pairs that the true reward tells apart", int(apart.sum()))
        return float(accuracies(drawn.learned[apart], drawn.true[apart])[quarter or 0])

    return metric


def accuracies(learned: Array, true: Array) -> Array:
    """Compute the accuracy over all pairs, and in each quarter by the size of the true gap, shape (5,).

    Args:
        learned: Gaps by the learned reward, shape (N,); one of 0 counts half.
        true: By the true one, none of them 0, shape (N,).
    """
    right = (np.sign(learned) * np.sign(true) + 1) / 2
    by_gap = right[np.argsort(np.abs(true), kind="stable")]
    return np.array([right.mean(), *(part.mean() for part in np.array_split(by_gap, 4))])
