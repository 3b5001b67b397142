"""Coverage schemes: ask about what is least like anything asked before."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.queries.candidates import Candidates
from rlhf_gym.queries.schemes.disagreement import spread
from rlhf_gym.queries.schemes.entropy import uncertainty
from rlhf_gym.queries.schemes.features import nearest, standardised
from rlhf_gym.queries.schemes.scheme import Scheme, best
from rlhf_gym.segments import Array


def coverage() -> Scheme:
    """Choose greedy k-centres, starting from the queries asked before (Lee et al. 2021, B-Pref).

    Each is the candidate farthest from the nearest query asked or chosen before; its value is that distance. Queries
    are compared by the features of their options, one after the other, standardised over the candidates; of two
    orders of the options, as they are and in reverse, the nearer counts. B-Pref compares all observations of both
    segments as they are.
    """

    def scheme(candidates: Candidates, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        return k_centres(*standardised(candidates), n, rng=rng)

    return scheme


def disagreement_coverage(pool: float = 5) -> Scheme:
    """Choose k-centres among the candidates whose members disagree most.

    Lee et al. 2021, B-Pref: the better half of 10 candidates a query.

    Args:
        pool: Candidates for each query that are kept by their disagreement, at least 1.

    Raises:
        BadInput: If it is less.
    """
    return _among_best(lambda candidates: spread(candidates.probabilities), pool)


def entropy_coverage(pool: float = 5) -> Scheme:
    """Choose k-centres among the candidates whose answer is least certain, as :func:`disagreement_coverage` does."""
    return _among_best(lambda candidates: uncertainty(candidates.probabilities), pool)


def _among_best(value: Callable[[Candidates], Array], pool: float) -> Scheme:
    if not 1 <= pool < np.inf:
        raise BadInput(f"query.scheme_options.pool is {pool}; use at least 1, and a number")

    def scheme(candidates: Candidates, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        kept = best(value(candidates), max(n, min(len(candidates), int(pool * n))), rng=rng)
        points, centres = standardised(candidates)
        chosen, gaps = k_centres(points[kept], centres, n, rng=rng)
        return kept[chosen], gaps

    return scheme


def k_centres(points: Array, centres: Array, n: int, *, rng: np.random.Generator) -> tuple[Array, Array]:
    """Choose `n` points, each the farthest from the nearest centre or point chosen before (Gonzalez 1985).

    Args:
        points: Features of N queries' K options, shape (N, K, D).
        centres: Likewise of A queries, shape (A, K, D); without any, the first point is drawn.
        n: How many.
        rng: Source of the draw, and of the order of equally far points.

    Returns:
        Indices, shape (n,), and how far each was; 0 for a drawn one.
    """
    gaps, chosen, values = _gaps(points, centres), np.zeros(n, np.int64), np.zeros(n)
    for i in range(n):
        [chosen[i]] = best(gaps, 1, rng=rng)
        values[i] = gaps[chosen[i]] if np.isfinite(gaps[chosen[i]]) else 0.0
        gaps = np.minimum(gaps, _gaps(points, points[chosen[i : i + 1]]))
        gaps[chosen[: i + 1]] = -np.inf
    return chosen, values


def _gaps(points: Array, centres: Array) -> Array:
    """Compute how far each query is from the nearest centre, in the nearer of two orders of its options, shape (N,)."""
    flat, n = points.reshape(len(points), -1), len(centres)
    return np.minimum(*(nearest(flat, order.reshape(n, flat.shape[1])) for order in (centres, centres[:, ::-1])))
