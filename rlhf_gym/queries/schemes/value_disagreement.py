"""The value disagreement scheme: ask where the members differ about the options' discounted returns."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.queries.schemes.scheme import Scheme, by_value
from rlhf_gym.segments import Array


def value_disagreement(gamma: float = 0.99) -> Scheme:
    """Choose by the spread over members of the difference between the options' values.

    After the difference of value differences of OPRIDE (Yang et al., ICLR 2026). In place of a critic per member, a
    value is the discounted learned return of the steps recorded from the window's start on.

    Args:
        gamma: Discount of a step, from 0 to 1.

    Raises:
        BadInput: If `gamma` isn't from 0 to 1.
    """
    if not 0 <= gamma <= 1:
        raise BadInput(f"query.scheme_options.gamma is {gamma}; use a number from 0 to 1")
    return by_value(lambda candidates: spread_of_differences(candidates.values(gamma)))


def spread_of_differences(values: Array) -> Array:
    """Compute the standard deviation over members of two options' difference, averaged over all pairs of options.

    Args:
        values: Shape (M, N, K).

    Returns:
        Shape (N,).
    """
    twos = combinations(range(values.shape[-1]), 2)
    return np.asarray(np.mean([(values[..., i] - values[..., j]).std(axis=0) for i, j in twos], axis=0))
