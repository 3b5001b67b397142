"""The value disagreement scheme: ask where the members differ about what an option leads to."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.queries.schemes.scheme import Scheme, by_value
from rlhf_gym.segments import Array


def value_disagreement(gamma: float = 0.99) -> Scheme:
    """Choose by the spread over members of the difference between the options' values.

    The difference of value differences of OPRIDE (Yang et al., ICLR 2026), with the discounted return of what is
    recorded from a window's start on in place of a critic of each member.

    Args:
        gamma: Discount of a step, from 0 to 1.

    Raises:
        BadInput: If it isn't.
    """
    if not 0 <= gamma <= 1:
        raise BadInput(f"query.scheme_options.gamma is {gamma}; use a number from 0 to 1")
    return by_value(lambda candidates: spread_of_differences(candidates.values(gamma)))


def spread_of_differences(values: Array) -> Array:
    """Compute the standard deviation over members of the difference of two options, the mean over all twos.

    Args:
        values: Shape (M, N, K).

    Returns:
        Shape (N,).
    """
    twos = combinations(range(values.shape[-1]), 2)
    return np.asarray(np.mean([(values[..., i] - values[..., j]).std(axis=0) for i, j in twos], axis=0))
