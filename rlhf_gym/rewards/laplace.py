"""Laplace's approximation of a logistic regression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.special import expit

from rlhf_gym.segments import Array

NEWTON_MOST = 30


@dataclass(frozen=True)
class Mode:
    """Laplace's approximation at the mode of weights with a standard normal prior.

    Args:
        inputs: Shape (P, r).
        mode: Shape (r,).
        precision: Precision of the normal distribution around the mode, shape (r, r).
        residuals: Weighted difference of each pair's target and predicted probability, shape (P,).
        curvature: Weighted p (1 - p) of each pair, shape (P,).
        evidence: Log marginal likelihood.
    """

    inputs: Array
    mode: Array
    precision: Array
    residuals: Array
    curvature: Array
    evidence: float

    @cached_property
    def covariance(self) -> Array:
        """Inverse of the precision, shape (r, r)."""
        return np.linalg.inv(self.precision)


def laplace(inputs: Array, targets: Array, weights: Array, given: Array | float = 0.0) -> Mode:
    """Find the mode under a standard normal prior by Newton's method, halving steps that raise the loss.

    Args:
        inputs: Shape (P, r).
        targets: Probability of each pair's first option, shape (P,).
        weights: Of each pair, shape (P,).
        given: Log-odds added to those from the weights, shape (P,).
    """

    def loss(mode: Array) -> float:
        logits = inputs @ mode + given
        return float((weights * (np.logaddexp(0, logits) - targets * logits)).sum() + 0.5 * mode @ mode)

    mode, eye = np.zeros(inputs.shape[1]), np.eye(inputs.shape[1])
    now = loss(mode)
    for _ in range(NEWTON_MOST):
        p = expit(inputs @ mode + given)
        residuals, curvature = weights * (targets - p), weights * p * (1 - p)
        precision = eye + inputs.T @ (curvature[:, None] * inputs)
        step = torch.linalg.solve(torch.from_numpy(precision), torch.from_numpy(inputs.T @ residuals - mode)).numpy()
        share = 1.0
        while (after := loss(mode + share * step)) > now + 1e-12 and share > 1e-4:
            share /= 2
        mode, gained, now = mode + share * step, now - after, after
        if gained < 1e-6:
            break
    return Mode(inputs, mode, precision, residuals, curvature, -now - 0.5 * float(np.linalg.slogdet(precision)[1]))
