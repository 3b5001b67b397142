"""Distances between features, for schemes that look at them."""

from __future__ import annotations

import numpy as np

from rlhf_gym.queries.candidates import Candidates
from rlhf_gym.segments import Array


def standardised(candidates: Candidates) -> tuple[Array, Array]:
    """Standardise features by the mean and standard deviation over all options of the candidates.

    Returns:
        Features of the candidates, shape (N, K, D), and of the queries asked before, shape (A, K, D).
    """
    features = candidates.features
    mean, std = features.mean(axis=(0, 1)), features.std(axis=(0, 1))
    std[std == 0] = 1.0
    return (features - mean) / std, (candidates.asked_features - mean) / std


def nearest(points: Array, others: Array, *, itself: bool = True) -> Array:
    """Compute each point's distance to the nearest of the others.

    Args:
        points: Shape (N, D).
        others: Shape (A, D).
        itself: Whether point i is also compared with other i.

    Returns:
        Shape (N,); infinity where there are no others.
    """
    squares = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * points @ others.T
    if not itself:
        np.fill_diagonal(squares, np.inf)
    return np.asarray(np.sqrt(np.maximum(squares.min(axis=1, initial=np.inf), 0.0)))
