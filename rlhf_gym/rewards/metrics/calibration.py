"""Calibration: whether answers are as frequent as the model predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.rewards.metrics.metric import OfJudged
from rlhf_gym.rewards.metrics.pairs import draw_pairs
from rlhf_gym.segments import Array


@dataclass(frozen=True, eq=False)
class Reliability:
    """Bins of equally many pairs, by the predicted probability that left is preferred.

    Args:
        predicted: Mean prediction of each bin, shape (B,).
        answered: How often the teacher prefers left there, ties counting half, shape (B,).
        sizes: Number of pairs in each bin, shape (B,).
    """

    predicted: Array
    answered: Array
    sizes: Array

    @property
    def error(self) -> float:
        """Expected calibration error: mean over pairs of their bin's |predicted - answered| (Naeini et al. 2015)."""
        return float(np.abs(self.predicted - self.answered) @ self.sizes / self.sizes.sum())


def calibration_error(bins: int = 10, pairs: int = 10_000, seed: int = 0) -> OfJudged:
    """Expected calibration error of P(left is preferred) over held-out pairs, against an errorless teacher.

    Args:
        bins: Number of bins, each with equally many pairs.
        pairs: How many are drawn.
        seed: Of the draw.

    Raises:
        BadInput: If there are fewer pairs than bins, or no bin.
    """
    if not 1 <= bins <= pairs:
        raise BadInput(f"calibration_error got {bins} bins and {pairs} pairs; use at least 1 bin, and a pair for each")
    return lambda judged: reliability_of(judged, bins=bins, pairs=pairs, seed=seed).error


def reliability_of(judged: Judged, *, bins: int = 10, pairs: int = 10_000, seed: int = 0) -> Reliability:
    """Draw pairs, and compare the members' mean probability that left is preferred with the true returns.

    Raises:
        BadInput: If there are too few trajectories or segments.
    """
    drawn = draw_pairs(judged, metric="calibration_error", pairs=pairs, seed=seed)
    return reliability(expit(drawn.members).mean(axis=0), drawn.answers, bins=bins)


def reliability(predicted: Array, answered: Array, *, bins: int) -> Reliability:
    """Put predictions into bins of equal mass, from the lowest to the highest.

    Args:
        predicted: Probability that left is preferred, shape (N,).
        answered: 1 where it is, 0 where it isn't, 0.5 for a tie, shape (N,).
        bins: At most N.
    """
    parts = np.array_split(np.argsort(predicted, kind="stable"), bins)
    means = np.array([(predicted[part].mean(), answered[part].mean()) for part in parts])
    return Reliability(means[:, 0], means[:, 1], np.array([len(part) for part in parts]))
