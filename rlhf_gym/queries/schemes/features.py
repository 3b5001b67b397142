"""Distances between features, for schemes that look at them."""

from __future__ import annotations

import numpy as np

from rlhf_gym.queries.candidates import Candidates
from rlhf_gym.segments import Array


def standardised(candidates: Candidates) -> tuple[Array, Array]:
    """Bring the candidates' features to mean 0 and standard deviation 1 over all their options, and the asked ones too.

    Returns:
        Of the candidates, shape (N, K, D), and of what was asked before, shape (A, K, D).
    """
    features = candidates.features
    mean, std = features.mean(axis=(0, 1)), features.std(axis=(0, 1))
    std[std == 0] = 1.0
    return (features - mean) / std, (candidates.asked_features - mean) / std


def nearest(points: Array, others: Array, *, itself: bool = True) -> Array:
    """Compute how far each point is from the nearest of the others.

    Args:
        points: Shape (N, D).
        others: Shape (A, D).
        itself: Whether point i may be near to other i.

    Returns:
        Shape (N,); infinity where there are no others.
    """
    squares = (points**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * points @ others.T
    if not itself:
        np.fill_diagonal(squares, np.inf)
    return np.asarray(np.sqrt(np.maximum(squares.min(axis=1, initial=np.inf), 0.0)))
