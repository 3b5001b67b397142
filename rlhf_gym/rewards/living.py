"""The worth of living: a constant reward for each lived step."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from rlhf_gym.segments import Array

MOST = 5.0  # with 1.5 Hopper learned to run and to fall; a step there is worth 3


def worth_of_living(returns: Array, lived: Array, targets: Array, offered: Array, weights: Array) -> float:
    """Find the constant worth of a lived step, in standard deviations of the steps' other rewards.

    A constant reward makes no difference between segments that are lived equally long, so only answers to queries whose
    options lived for different numbers of steps inform it. It has a standard normal prior and is held between -5 and 5;
    without such answers it is 0.

    Args:
        returns: Sum over each option of rewards of mean 0, predicted from the answers to other queries, shape (N, K).
        lived: Standard deviation of those rewards, times the steps that the option lived, shape (N, K).
        targets: Probability with which each option was chosen, shape (N, K).
        offered: Whether there is an option, bool, shape (N, K).
        weights: How much each choice counts, shape (N,).
    """
    from scipy.optimize import minimize_scalar  # slow to import, and most runs don't need it

    apart = np.ptp(np.where(offered, lived, lived[:, :1]), axis=1) > 0
    if not apart.any():
        return 0.0
    returns, lived, targets, offered = returns[apart], lived[apart], targets[apart], offered[apart]
    counts = weights[apart][:, None] * targets

    def loss(worth: float) -> float:
        logits = np.where(offered, returns + worth * lived, -np.inf)
        said = targets > 0
        return 0.5 * worth**2 - float((counts[said] * log_softmax(logits, axis=1)[said]).sum())

    return float(minimize_scalar(loss, bounds=(-MOST, MOST), method="bounded").x)
