"""Reliability of each person, estimated from all answers together: who agrees with the others, and how surely."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp

from rlhf_gym.preferences import Query, Said
from rlhf_gym.quality.judged import Judged
from rlhf_gym.segments import Array

SURENESS, SIDE, TIES = (1.0, 1.5), (0.0, 1.0), (-1.0, 1.5)
"""Prior mean and standard deviation of each person's sureness and pull to the left, and of the log tie parameter."""
EM_STEPS, NEWTON_STEPS, STEP = 60, 25, 0.05
POINTS, _MASS = np.polynomial.hermite_e.hermegauss(9)
WEIGHTS = _MASS / _MASS.sum()  # of a mean over a standard normal


@dataclass(frozen=True)
class Reliability:
    """Reliability of one person.

    Args:
        who: Name.
        better: Probability of choosing the better of two options that differ by one standard deviation, if they aren't
            tied: 0.5 is chance, and a person with less has the opposite in mind.
        interval: Its 95 % interval.
        left: Probability of choosing the left of two equally good options, likewise.
        left_interval: Its 95 % interval.
        at_random: Share of random answers that would lower the surest person's `better` to this one; None if `better`
            is below 0.5.
        tied: Probability of a tie between equally good options, the same for everybody.
    """

    who: str
    better: float
    interval: tuple[float, float]
    left: float
    left_interval: tuple[float, float]
    at_random: float | None = None
    tied: float | None = None

    @property
    def verdict(self) -> str:
        """Verdict in words, from the interval."""
        low, high = self.interval
        if high < 0.5:
            return "has the opposite in mind"
        if low > 0.5:
            return "reliable" if low > 0.6 else "better than a coin"
        return "like a coin" if high < 0.8 else "can't be told"


def reliabilities(said: Mapping[str, Sequence[tuple[Query, Said]]]) -> list[Reliability]:
    """Estimate how reliable people are, together with what they agree on.

    How much better option i is than option j, d, has a normal prior, with correlation between pairs of options with
    similar states. A person with sureness b and a pull to the left a chooses left with odds exp(b d + a), as in Chen et
    al. 2013 (Pairwise ranking aggregation in a crowdsourced setting), whose model is Dawid & Skene's for comparisons;
    ties are Davidson's (1970), with a learned parameter. Sureness is negative for a person who wants the opposite, with
    whom a mean over people would be meaningless. The fit is by expectation-maximisation with Laplace's approximation;
    intervals are from the curvature of the log posterior, and a little narrow if few people judged pairs whose states
    tell nothing. At most 300 pairs are used, chosen in turn for each person.

    Args:
        said: By person, the queries as they were shown, with the answers.

    Returns:
        One for each person who judged any two options; empty if fewer than two people did.
    """
    judged = Judged.of(said)
    if len(judged.people) < 2:
        return []
    model = Model(judged)
    theta = model.fit()
    found, surest = [], float(expit(theta[: len(judged.people)].max()))
    tied = float(expit(theta[-1] - math.log(2)))  # of three outcomes with odds 1 : 1 : exp(theta)
    for number, who in enumerate(judged.people):
        at = np.array([number, len(judged.people) + number])
        (b, a), (b_error, a_error) = theta[at], np.sqrt(np.diag(model.covariance(theta, at)))
        better, left = float(expit(b)), float(expit(a))
        at_random = _at_random(better, surest)
        found.append(Reliability(who, better, _ends(b, b_error), left, _ends(a, a_error), at_random, tied))
    return found


def _at_random(better: float, surest: float) -> float | None:
    """Solve better = (1 - e) surest + e / 2 for the share e of random answers; None if there is no such share."""
    return (surest - better) / (surest - 0.5) if surest > 0.5 <= better else None


def _ends(mean: float, error: float) -> tuple[float, float]:
    """Compute the ends of a probability's 95 % interval, from log odds."""
    return float(expit(mean - 1.96 * error)), float(expit(mean + 1.96 * error))


class Approximation(NamedTuple):
    """Laplace's approximation of how much better the first of each pair is, and of the answers' evidence.

    Args:
        mean: Posterior mean, shape (P,).
        variance: Posterior variance, shape (P,).
        pull: Pull of the answers on each pair: the prior covariance times it is the mean, shape (P,).
        evidence: Log marginal likelihood.
    """

    mean: Array
    variance: Array
    pull: Array
    evidence: float


@dataclass(frozen=True)
class Model:
    """The model of :func:`reliabilities`; its parameters are each person's sureness, each one's pull, and ties.

    Args:
        judged: M judgements of P pairs.
    """

    judged: Judged

    @property
    def prior(self) -> tuple[Array, Array]:
        """Mean and standard deviation of the parameters: sureness of each person, pull of each, ties."""
        each = (*[SURENESS] * len(self.judged.people), *[SIDE] * len(self.judged.people), TIES)
        mean, std = np.array(each).T
        return mean, std

    def fit(self) -> Array:
        """Find the parameters' mode, shape (2 people + 1,)."""
        from scipy.optimize import minimize  # long to import, and training needs none of it

        mean, std = self.prior
        theta = mean.copy()
        for _ in range(EM_STEPS):
            better, variance, *_ = self.laplace(theta)
            spread = np.sqrt(np.maximum(variance, 0))
            at = better[self.judged.pair][:, None] + spread[self.judged.pair][:, None] * POINTS

            def loss(now: Array, at: Array = at) -> tuple[float, Array]:
                b, logits = self._logits(now, at)
                likelihood, slope, tie_slope = _davidson(logits, self.judged.outcome[:, None], now[-1])
                by_side = (slope * WEIGHTS).sum(axis=1)
                by_sureness = (slope * at * WEIGHTS).sum(axis=1) * self.judged.sign
                n = len(self.judged.people)
                gradient = np.concatenate(
                    [
                        np.bincount(self.judged.person, by_sureness, n),
                        np.bincount(self.judged.person, by_side * self.judged.sided, n),
                        [(tie_slope * WEIGHTS).sum()],
                    ]
                )
                off = (now - mean) / std
                return float(0.5 * off @ off - (likelihood * WEIGHTS).sum()), off / std - gradient

            after = minimize(loss, theta, jac=True, method="L-BFGS-B").x
            moved, theta = np.abs(after - theta).max(), after
            if moved < 1e-3:
                break
        return theta

    def covariance(self, theta: Array, at: Array) -> Array:
        """Invert the curvature of the log posterior in two of the parameters, by central differences, shape (2, 2)."""
        steps = np.eye(len(theta))[at] * STEP

        def value(*moves: Array) -> float:
            return self._log_posterior(theta + sum(moves, np.zeros_like(theta)))

        middle = value()
        curvature = np.empty((2, 2))
        for i, step in enumerate(steps):
            curvature[i, i] = 2 * middle - value(step) - value(-step)
        one, other = steps
        mixed = (value(one, -other) + value(-one, other) - value(one, other) - value(-one, -other)) / 4
        curvature[0, 1] = curvature[1, 0] = mixed
        values, vectors = np.linalg.eigh(curvature / STEP**2)
        return np.asarray(vectors / np.maximum(values, 1e-2) @ vectors.T)

    def _log_posterior(self, theta: Array) -> float:
        mean, std = self.prior
        return self.laplace(theta).evidence - 0.5 * float((((theta - mean) / std) ** 2).sum())

    def _logits(self, theta: Array, better: Array) -> tuple[Array, Array]:
        """Compute signed sureness, shape (M,), and log odds of left, shape (M, ...), if pairs differ by `better`."""
        n = len(self.judged.people)
        b, a = theta[self.judged.person] * self.judged.sign, theta[n + self.judged.person] * self.judged.sided
        return b, (b * better.T + a).T

    def laplace(self, theta: Array) -> Approximation:
        """Approximate how much better the first of each pair is, given the parameters."""
        import torch  # long to import, and the page shows clips without it

        p = len(self.judged.before)
        better, alpha = np.zeros(p), np.zeros(p)
        for _ in range(NEWTON_STEPS):  # Rasmussen & Williams 2006, algorithm 3.1
            b, logits = self._logits(theta, better[self.judged.pair])
            _, slope, _ = _davidson(logits, self.judged.outcome, theta[-1])
            bent = _curvature(logits, theta[-1])
            gradient = np.bincount(self.judged.pair, slope * b, p)
            root = np.sqrt(np.bincount(self.judged.pair, bent * b**2, p))
            inner = np.eye(p) + root[:, None] * self.judged.before * root
            wanted = root**2 * better + gradient
            alpha = wanted - root * _solve(inner, root * (self.judged.before @ wanted))
            moved, better = np.abs(self.judged.before @ alpha - better).max(), self.judged.before @ alpha
            if moved < 1e-6:
                break
        solved = _solve(inner, root[:, None] * self.judged.before)
        variance = np.diag(self.judged.before) - ((self.judged.before * root) * solved.T).sum(axis=1)
        logits = self._logits(theta, better[self.judged.pair])[1]
        likelihood = _davidson(logits, self.judged.outcome, theta[-1])[0].sum()
        volume = torch.linalg.slogdet(torch.from_numpy(inner)).logabsdet.item()
        return Approximation(better, variance, alpha, float(likelihood - 0.5 * alpha @ better - 0.5 * volume))


def _solve(matrix: Array, of: Array) -> Array:
    """Solve a linear system with torch, which keeps to its limit of threads."""
    import torch

    return np.asarray(torch.linalg.solve(torch.from_numpy(matrix), torch.from_numpy(of)).numpy())


def _davidson(logits: Array, outcome: Array, ties: float) -> tuple[Array, Array, Array]:
    """Compute log probabilities of outcomes, and their slopes in the log odds and in the log tie parameter."""
    each = np.stack([logits / 2, -logits / 2, np.full_like(logits, ties)])
    log = each - logsumexp(each, axis=0)
    probability = np.exp(log)
    chosen = np.take_along_axis(log, np.broadcast_to(outcome, logits.shape)[None], axis=0)[0]
    slope = np.choose(outcome, [0.5, -0.5, 0.0]) - 0.5 * (probability[0] - probability[1])
    return chosen, slope, (outcome == 2) - probability[2]


def _curvature(logits: Array, ties: float) -> Array:
    """Compute minus the second derivative of a log probability in the log odds: the same for each outcome."""
    each = np.stack([logits / 2, -logits / 2, np.full_like(logits, ties)])
    left, right, _ = np.exp(each - logsumexp(each, axis=0))
    return np.asarray(0.25 * (left + right - (left - right) ** 2))
