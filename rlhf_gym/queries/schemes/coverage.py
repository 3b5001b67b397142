"""Coverage schemes: ask about the segments least similar to those asked before."""

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
    are compared by their options' concatenated features, standardised over the candidates, and the distance is the
    smaller of two: with the options of one query in order, and in reverse. B-Pref compares all observations of both
    segments, unstandardised.
    """

    def scheme(candidates: Candidates, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        return k_centres(*standardised(candidates), n, rng=rng)

    return scheme


def disagreement_coverage(pool: float = 5) -> Scheme:
    """Choose k-centres among the candidates about which the members disagree most.

    Lee et al. 2021 (B-Pref) keep the better half of 10 candidates per query.

    Args:
        pool: Candidates kept per query, those with the most disagreement, at least 1.

    Raises:
        BadInput: If `pool` is below 1 or infinite.
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
        centres: Likewise of A queries, shape (A, K, D); if A is 0, the first point is drawn at random.
        n: Number of points.
        rng: Source of the draw, and of the order of equally far points.

    Returns:
        Indices, shape (n,), and each one's distance when it was chosen, 0 for a drawn one.
    """
    gaps, chosen, values = _gaps(points, centres), np.zeros(n, np.int64), np.zeros(n)
    for i in range(n):
        [chosen[i]] = best(gaps, 1, rng=rng)
        values[i] = gaps[chosen[i]] if np.isfinite(gaps[chosen[i]]) else 0.0
        gaps = np.minimum(gaps, _gaps(points, points[chosen[i : i + 1]]))
        gaps[chosen[: i + 1]] = -np.inf
    return chosen, values


def _gaps(points: Array, centres: Array) -> Array:
    """Compute each query's distance to the nearest centre, in the nearer of two orders of its options, shape (N,)."""
    flat, n = points.reshape(len(points), -1), len(centres)
    return np.minimum(*(nearest(flat, order.reshape(n, flat.shape[1])) for order in (centres, centres[:, ::-1])))
