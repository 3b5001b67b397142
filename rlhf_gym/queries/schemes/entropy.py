"""The entropy scheme: ask where the answer is least certain."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from rlhf_gym.queries.schemes.scheme import Scheme, by_value
from rlhf_gym.segments import Array


def entropy() -> Scheme:
    """Choose by the entropy of the ensemble's mean P(best) (Lee et al. 2021, B-Pref).

    Their code averages the members' entropies instead, which is 0 if members are certain of opposite answers.
    """
    return by_value(lambda candidates: uncertainty(candidates.probabilities))


def uncertainty(probabilities: Array) -> Array:
    """Compute the entropy, in nats, of the members' mean P(best).

    Args:
        probabilities: Shape (M, N, K).

    Returns:
        Shape (N,).
    """
    return np.asarray(entr(probabilities.mean(axis=0)).sum(axis=-1))
