"""The mutual information scheme: ask queries whose answers tell the members apart, without redundancy."""

from __future__ import annotations

import numpy as np
from scipy.special import entr, expit, softmax

from rlhf_gym.queries.candidates import Candidates
from rlhf_gym.queries.schemes.scheme import Scheme, best
from rlhf_gym.segments import Array

NOTHING = 1e-9  # nats; less than this is rounding error


def mutual_information() -> Scheme:
    """Choose a batch by the mutual information between answer and member (BALD, Houlsby et al. 2011).

    For preferences, see Biyik & Sadigh 2018. The batch is chosen greedily. After each choice, the members' scores are
    conditioned on those of the chosen query, as under a Gaussian with the members' covariance: the part that these
    explain linearly is removed from all others, so a copy of the query has no information left. M members differ in at
    most M - 1 independent ways; once these are used up, conditioning starts over from the original scores.

    A choice's value is its information given the choices before it, in nats.
    """

    def scheme(candidates: Candidates, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        scores, chosen, values = candidates.scores, np.zeros(n, np.int64), np.zeros(n)
        left = scores
        for i in range(n):
            worth = _of_others(left, chosen[:i])
            if worth.max() <= NOTHING:
                left = scores
                worth = _of_others(left, chosen[:i])
            [chosen[i]] = best(worth, 1, rng=rng)
            values[i] = worth[chosen[i]]
            left = conditioned(left, chosen[i])
        return chosen, values

    return scheme


def _of_others(scores: Array, chosen: Array) -> Array:
    """Compute the information of each query, with minus infinity for those chosen."""
    worth = information(scores)
    worth[chosen] = -np.inf
    return worth


def information(scores: Array) -> Array:
    """Compute the mutual information between the answer and the member: H(mean P) - mean H(P), in nats.

    Args:
        scores: Shape (M, N, K).

    Returns:
        Shape (N,).
    """
    if scores.shape[-1] == 2:  # the same up to rounding, in a third of the time
        one = expit(scores[..., 0] - scores[..., 1])
        of_mean, of_each = _binary_entropy(one.mean(axis=0)), _binary_entropy(one)
    else:
        probabilities = softmax(scores, axis=-1)
        of_mean, of_each = entr(probabilities.mean(axis=0)).sum(axis=-1), entr(probabilities).sum(axis=-1)
    return np.asarray(np.maximum(of_mean - of_each.mean(axis=0), 0.0))


def _binary_entropy(probabilities: Array) -> Array:
    return np.asarray(entr(probabilities) + entr(1 - probabilities))


def conditioned(scores: Array, query: int) -> Array:
    """Remove from all scores the part that one query's scores explain linearly over the members.

    Args:
        scores: Shape (M, N, K).
        query: Index of the query.

    Returns:
        Shape (M, N, K), less the mean over options; for the query itself, every member has the members' mean.
    """
    between = scores - scores.mean(axis=-1, keepdims=True)  # only differences between options matter
    mean = between.mean(axis=0)
    ways, sizes, _ = np.linalg.svd(between[:, query] - mean[query], full_matrices=False)
    ways = ways[:, sizes > 1e-9 * sizes[0]]  # orthonormal directions of the members' differences, (M, rank)
    return np.asarray(between - np.tensordot(ways @ ways.T, between - mean, axes=1))
