"""Bayesian logistic regression from few answers: a posterior over weights of a segment's summed features."""

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
WIDEST = 100.0  # limit of a weight's prior variance, times its group's: separable answers would widen it without end
EM_MOST = 15
EVIDENCE_MOST = 256  # most pairs, evenly spread, that the groups' scales are fitted to
PRIOR_MOST = 1024  # likewise for the weights' priors: a weight that matters shows in these


@dataclass(frozen=True)
class Posterior:
    """A normal distribution of F weights.

    Args:
        mean: Shape (F,).
        prior: Variance of each weight before the answers, shape (F,).
        scales: Prior standard deviation of each group's sum, shape (G,).
        basis: Orthonormal directions that the answers inform, for weights scaled to unit prior, shape (F, r).
        at: Laplace's approximation along these directions.
    """

    mean: Array
    prior: Array
    scales: Array
    basis: Array
    at: Mode

    def samples(self, n: int, *, rng: np.random.Generator) -> Array:
        """Draw weights, shape (n, F), in antithetic pairs, so that their mean is the posterior's.

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
        """Posterior variance of each weight, shape (F,)."""
        learned = np.eye(len(self.at.mode)) - self.at.covariance
        return np.asarray(self.prior * (1 - ((self.basis @ learned) * self.basis).sum(axis=1)))

    def left_out(self, pairs: Pairs, n: int) -> Array:
        """Estimate the mean without each group of pairs, by one Newton step from the full mode, shape (n, F).

        The prior stays the one fitted to all answers, so predictions of left-out answers look better than they are.

        Args:
            pairs: What the posterior was fitted to.
            n: Number of groups.
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
        fits: Posteriors of the same F weights.
        shares: Share of each, summing to 1.
        n: An even number of draws.
        rng: Source of the draws.

    Returns:
        Mean and standard deviation of each weight, shape (F,), and draws with that mean, shape (n, F).
    """
    means = np.stack([fit.mean for fit in fits])
    mean = shares @ means
    variance = shares @ (np.stack([fit.variance.clip(0) for fit in fits]) + (means - mean) ** 2)
    of = np.searchsorted(np.cumsum(shares)[:-1], (np.arange(n // 2) + 0.5) * 2 / n)
    counts = np.bincount(of, minlength=len(fits))
    draws = np.concatenate([fit.samples(2 * count, rng=rng) for fit, count in zip(fits, counts, strict=True) if count])
    return mean, np.sqrt(variance), draws + mean - draws.mean(axis=0)


def fit_posterior(pairs: Pairs, groups: Array, scales: Array, *, by_evidence: bool = True) -> Posterior:
    """Fit weights with a heavy-tailed prior, as few of them matter.

    Each weight has a Cauchy prior: a normal one whose unknown variance expectation-maximisation finds. The groups'
    scales maximise the evidence of normal priors (MacKay 1992, Bayesian interpolation), under a log-normal prior of
    width 1 around the given ones.

    Args:
        pairs: P pairs.
        groups: Index of each feature's group, shape (F,).
        scales: Standard deviation of a whole group's sum, before any answer, shape (G,).
        by_evidence: Whether to fit the scales by evidence.
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
    """Fit weights of known prior variance, in at most min(P, F) dimensions."""
    basis, inputs = principal(pairs.differences * np.sqrt(prior))
    at = laplace(inputs, pairs.targets, pairs.weights)
    return Posterior(basis @ at.mode * np.sqrt(prior), prior, scales, basis, at)


def principal(scaled: Array) -> tuple[Array, Array]:
    """Rotate inputs to their principal directions, at most min(P, F) of them.

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
    """Compute eigenvalues and eigenvectors of a Gram matrix, without those that are only rounding."""
    # torch keeps to its limit of threads; for matrices this small NumPy's threads mostly wait.
    values, vectors = (part.numpy() for part in torch.linalg.eigh(torch.from_numpy(gram)))
    kept = values > 1e-9 * max(values[-1], 1e-300)
    return values[kept], vectors[:, kept]


def _scales(pairs: Pairs, groups: Array, each: Array, scales: Array) -> Array:
    """Double or halve the groups' scales, one after the other, as long as the evidence rises."""
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
