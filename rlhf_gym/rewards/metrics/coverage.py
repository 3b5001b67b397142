"""Coverage: how far a step is from the labelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array

MOST = 2000  # most judged and most labelled steps: there is a distance for each pair of them
PERCENTILE = 95.0


@dataclass(frozen=True, eq=False)
class Coverage:
    """Distances of some steps from the labelled ones.

    Args:
        chosen: Indices of the steps measured, evenly spread, shape (S,).
        distances: Of each to the nearest labelled step, in standard deviations of the labelled ones, shape (S,).
        radius: Distance beyond which a step is outside.
    """

    chosen: Array
    distances: Array
    radius: float

    @property
    def outside(self) -> Array:
        """Whether each measured step is outside, shape (S,)."""
        return np.asarray(self.distances > self.radius)


def cover(inputs: Array, labelled: Sequence[Array]) -> Coverage:
    """Measure how far steps are from those of labelled segments.

    Inputs are standardised by the labelled steps; a coordinate that never varied there counts in its own unit. The
    radius is the 95th percentile of the distances of labelled steps to the nearest step of another labelled segment, as
    steps of the same segment are always near.

    Args:
        inputs: What the model sees of each step, shape (S, D).
        labelled: The same of each labelled segment, each of shape (lived, D).

    Raises:
        BadInput: If there are fewer than 2 labelled segments.
    """
    if len(labelled) < 2:
        raise BadInput(
            f"coverage needs at least 2 labelled segments and got {len(labelled)}; ask for labels that imply choices"
        )
    known = np.concatenate(labelled).astype(np.float64)
    segments = np.repeat(np.arange(len(labelled)), [len(one) for one in labelled])
    mean, std = known.mean(axis=0), known.std(axis=0)
    unit = np.where(std > 1e-6, std, 1)
    some, chosen = _spread(len(known)), _spread(len(inputs))
    known, segments = ((known - mean) / unit)[some], segments[some]
    between = cdist(known, known)
    between[segments[:, None] == segments] = np.inf
    radius = float(np.percentile(between.min(axis=1), PERCENTILE))
    return Coverage(chosen, cdist((inputs[chosen] - mean) / unit, known).min(axis=1), radius)


def _spread(n: int) -> Array:
    return np.linspace(0, n - 1, min(n, MOST)).astype(int)
