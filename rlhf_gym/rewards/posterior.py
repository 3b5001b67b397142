"""Bayesian logistic regression from few answers: a posterior over the weights of features that a segment sums up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from rlhf_gym.rewards.laplace import Mode, laplace
from rlhf_gym.rewards.pairs import Pairs
from rlhf_gym.segments import Array

SCALE_LEAST, SCALE_MOST = 0.03, 10.0
WIDEST = 100.0  # times its group's variance: separable answers would widen a weight's prior without end
EM_MOST = 15
EVIDENCE_MOST = 256  # pairs that the groups' scales are found with; of more, as many, evenly spread
PRIOR_MOST = 1024  # pairs that each weight's prior is found with, likewise: a weight that matters shows in these


@dataclass(frozen=True)
class Posterior:
    """A normal distribution of F weights.

    Args:
        mean: Shape (F,).
        prior: Variance of each weight before the answers, shape (F,).
        scales: Of each group, as evidence chose it, shape (G,).
        basis: Directions that the answers are about, in weights of unit prior, orthonormal, shape (F, r).
        at: What is known of them.
    """

    mean: Array
    prior: Array
    scales: Array
    basis: Array
    at: Mode

    def samples(self, n: int, *, rng: np.random.Generator) -> Array:
        """Draw weights, shape (n, F): in pairs that lie opposite each other, so that their mean is the posterior's.

        Args:
            n: An even number.
            rng: Source of the draw.
        """
        free = rng.standard_normal((n // 2, len(self.mean)))
        known = rng.standard_normal((n // 2, len(self.at.mode))) @ np.linalg.cholesky(self.at.covariance).T
        deviations = (free - free @ self.basis @ self.basis.T + known @ self.basis.T) * np.sqrt(self.prior)
        return np.concatenate([self.mean + deviations, self.mean - deviations])

    @cached_property
    def variance(self) -> Array:
        """Of each weight, shape (F,)."""
        learned = np.eye(len(self.at.mode)) - self.at.covariance
        return np.asarray(self.prior * (1 - ((self.basis @ learned) * self.basis).sum(axis=1)))

    def left_out(self, pairs: Pairs, n: int) -> Array:
        """Estimate the mean without each group of pairs, shape (n, F): one Newton step from the mode of all.

        The prior stays as the answers of all have made it, so that what is foretold looks better than it is.

        Args:
            pairs: What the posterior was fitted to.
            n: Groups.
        """
        at, starts = self.at, np.searchsorted(pairs.group, np.arange(n + 1))
        spread = at.inputs @ at.covariance  # H^-1 z of each pair
        modes = np.tile(at.mode, (n, 1))
        alone = np.flatnonzero(np.diff(starts) == 1)
        pair = starts[alone]
        leverage = at.curvature[pair] * np.einsum("pr,pr->p", at.inputs[pair], spread[pair])
        modes[alone] -= (at.residuals[pair] / (1 - leverage))[:, None] * spread[pair]
        for i in np.flatnonzero(np.diff(starts) > 1):
            own, solved = (rows[starts[i] : starts[i + 1]] for rows in (at.inputs, spread))
            curvature, residuals = (rows[starts[i] : starts[i + 1]] for rows in (at.curvature, at.residuals))
            inner = np.eye(len(own)) - curvature[:, None] * (own @ solved.T)  # Woodbury
            modes[i] -= np.linalg.solve(inner, residuals) @ solved
        return np.asarray((modes @ self.basis.T) * np.sqrt(self.prior))


def mix(fits: Sequence[Posterior], shares: Array, n: int, *, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Average posteriors.

    Args:
        fits: Of the same F weights.
        shares: Of each, with sum 1.
        n: An even number of draws.
        rng: Source of the draws.

    Returns:
        Mean and standard deviation of each weight, shape (F,), and draws, shape (n, F), whose mean it is.
    """
    means = np.stack([fit.mean for fit in fits])
    mean = shares @ means
    variance = shares @ (np.stack([fit.variance.clip(0) for fit in fits]) + (means - mean) ** 2)
    of = np.searchsorted(np.cumsum(shares)[:-1], (np.arange(n // 2) + 0.5) * 2 / n)
    counts = np.bincount(of, minlength=len(fits))
    draws = np.concatenate([fit.samples(2 * count, rng=rng) for fit, count in zip(fits, counts, strict=True) if count])
    return mean, np.sqrt(variance), draws + mean - draws.mean(axis=0)


def fit_posterior(pairs: Pairs, groups: Array, scales: Array, *, by_evidence: bool = True) -> Posterior:
    """Fit weights with a heavy-tailed prior: few of them matter.

    Each weight has a Cauchy prior, a normal one of unknown variance, which expectation-maximisation finds; the widths
    of the groups come from the evidence of normal priors (MacKay 1992, Bayesian interpolation), and are held near the
    given ones by a log-normal prior of width 1.

    Args:
        pairs: P of them.
        groups: Number of each feature's group, shape (F,).
        scales: Standard deviation of a whole group's sum, before any answer, shape (G,).
        by_evidence: Whether evidence changes the scales.
    """
    sizes = np.bincount(groups, minlength=len(scales))
    if by_evidence:
        scales = _scales(pairs, groups, scales / np.sqrt(sizes.clip(1)), scales)
    narrow = (scales**2 / sizes.clip(1))[groups]
    prior, some = narrow, pairs.some(PRIOR_MOST)
    for _ in range(EM_MOST):
        posterior = _posterior(some, prior, scales)
        wider = np.minimum((narrow + posterior.mean**2 + posterior.variance) / 2, WIDEST * narrow)
        if np.abs(np.log(wider / prior)).max() < 0.02:
            break
        prior = wider
    return posterior if some is pairs else _posterior(pairs, prior, scales)


def _posterior(pairs: Pairs, prior: Array, scales: Array) -> Posterior:
    """Fit weights of known prior, in as many dimensions as there are pairs or features, whichever are fewer."""
    basis, inputs = principal(pairs.differences * np.sqrt(prior))
    at = laplace(inputs, pairs.targets, pairs.weights)
    return Posterior(basis @ at.mode * np.sqrt(prior), prior, scales, basis, at)


def principal(scaled: Array) -> tuple[Array, Array]:
    """Rotate inputs to their principal directions, as many as there are pairs or features, whichever are fewer.

    Args:
        scaled: Shape (P, F).

    Returns:
        The directions, orthonormal, shape (F, r), and the inputs along them, shape (P, r).
    """
    if len(scaled) < scaled.shape[1]:
        values, vectors = _positive(scaled @ scaled.T)
        return scaled.T @ (vectors / np.sqrt(values)), vectors * np.sqrt(values)
    basis = _positive(scaled.T @ scaled)[1]
    return basis, scaled @ basis


def _positive(gram: Array) -> tuple[Array, Array]:
    """Decompose a Gram matrix, without the directions that rounding alone fills."""
    # torch's, which keeps to the threads it is given: for matrices this small NumPy's spend theirs on waiting.
    values, vectors = (part.numpy() for part in torch.linalg.eigh(torch.from_numpy(gram)))
    kept = values > 1e-9 * max(values[-1], 1e-300)
    return values[kept], vectors[:, kept]


def _scales(pairs: Pairs, groups: Array, each: Array, scales: Array) -> Array:
    """Double or halve the groups' scales, one after the other, for as long as the evidence rises."""
    some = pairs.some(EVIDENCE_MOST)
    by_group = [some.differences[:, groups == group] * width for group, width in enumerate(each)]
    grams = np.stack([inputs @ inputs.T for inputs in by_group])  # at the given scales

    def evidence(shifts: Array) -> float:
        values, vectors = _positive(np.tensordot(np.exp(2 * shifts), grams, axes=1))
        at = laplace(vectors * np.sqrt(values), some.targets, some.weights)
        return at.evidence - 0.5 * float(shifts @ shifts)

    least, most = np.log(SCALE_LEAST / scales), np.log(SCALE_MOST / scales)
    shifts = np.zeros(len(scales))
    best = evidence(shifts)
    for _ in range(2):
        for group in np.flatnonzero([inputs.any() for inputs in by_group]):
            for direction in (np.log(2), -np.log(2)):
                while True:
                    tried = shifts.copy()
                    tried[group] = np.clip(tried[group] + direction, least[group], most[group])
                    if not (found := evidence(tried)) > best:
                        break
                    shifts, best = tried, found
    return np.asarray(scales * np.exp(shifts))
