"""The disagreement scheme: ask where the ensemble's members differ most."""

from __future__ import annotations

import numpy as np

from rlhf_gym.queries.schemes.scheme import Scheme, by_value
from rlhf_gym.segments import Array


def disagreement() -> Scheme:
    """Choose by the standard deviation of P(best) over members (Christiano et al. 2017, section 2.2.4)."""
    return by_value(lambda candidates: spread(candidates.probabilities))


def spread(probabilities: Array) -> Array:
    """Compute the standard deviation of P(best) over members, averaged over a query's options.

    Args:
        probabilities: Shape (M, N, K).

    Returns:
        Shape (N,).
    """
    return np.asarray(probabilities.std(axis=0).mean(axis=-1))
