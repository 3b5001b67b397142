"""Outside coverage: the share of steps that are far from the labelled ones."""

from __future__ import annotations

from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.rewards.metrics.metric import OfJudged


def outside_coverage() -> OfJudged:
    """Share of steps that are farther from the labelled ones than those are from each other (:mod:`.coverage`)."""

    def metric(judged: Judged) -> float:
        return float(judged.covered.outside.mean())

    return metric
