"""The uniform scheme: every candidate is equally likely."""

from __future__ import annotations

import numpy as np

from rlhf_gym.queries.candidates import Candidates
from rlhf_gym.queries.schemes.scheme import Scheme
from rlhf_gym.segments import Array


def uniform() -> Scheme:
    """Choose the first candidates, which are a uniform sample already."""

    def scheme(candidates: Candidates, n: int, rng: np.random.Generator) -> Array:
        return np.arange(n)

    return scheme
