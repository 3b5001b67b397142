"""Correlations of segments' returns, which are what answers compare."""

from __future__ import annotations

from collections.abc import Callable

from rlhf_gym.rewards.metrics.correlation import pearson
from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.rewards.metrics.metric import OfJudged, TooFew
from rlhf_gym.rewards.metrics.spearman import rank_correlation
from rlhf_gym.segments import Array

LEAST = 10


def segment_correlation() -> OfJudged:
    """Pearson's correlation of learned and true return, over every segment that can be cut."""
    return _over_segments("segment_correlation", pearson)


def segment_spearman() -> OfJudged:
    """Spearman's rank correlation of learned and true return, over every segment that can be cut."""
    return _over_segments("segment_spearman", rank_correlation)


def _over_segments(name: str, correlate: Callable[[Array, Array], float]) -> OfJudged:
    def metric(judged: Judged) -> float:
        learned, true = judged.segment_returns[:2]
        if len(true) < LEAST:
            raise TooFew(name, LEAST, "segments", len(true))
        return correlate(learned, true)

    return metric
