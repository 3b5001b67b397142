"""How reliable each person is, told from all answers together: who agrees with what the others say, and how surely."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from rlhf_gym.preferences import Answer, Query, Ranking, Said
from rlhf_gym.quality.agreement import pairs, segment_digest
from rlhf_gym.segments import Array, Segment

PAIRS_MOST = 300  # judged ones that are looked at: its cube is what the time goes by
ALIKE = 0.5  # share of how much better one is that states and actions tell, the rest being the pair's own
OUTCOMES = {Answer.LEFT: 0, Answer.RIGHT: 1, Answer.TIE: 2}
SURENESS, SIDE, TIES = (1.0, 1.5), (0.0, 1.0), (-1.0, 1.5)
"""Mean and standard deviation of each person's sureness and pull to the left, and of the log of the tie parameter."""
EM_STEPS, NEWTON_STEPS, STEP = 60, 25, 0.05
POINTS, _MASS = np.polynomial.hermite_e.hermegauss(9)
WEIGHTS = _MASS / _MASS.sum()  # of a mean over a standard normal


@dataclass(frozen=True)
class Reliability:
    """One person's.

    Args:
        who: Name.
        better: Probability of choosing the better of two options that differ by one standard deviation, where they are
            told apart: 0.5 is a coin's, less is that of somebody with the opposite in mind.
        interval: Its 95 % interval.
        left: Probability of choosing the left of two options that are as good, likewise.
        left_interval: Its 95 % interval.
    """

    who: str
    better: float
    interval: tuple[float, float]
    left: float
    left_interval: tuple[float, float]

    @property
    def verdict(self) -> str:
        """Say in words what the interval says."""
        low, high = self.interval
        if high < 0.5:
            return "has the opposite in mind"
        if low > 0.5:
            return "reliable" if low > 0.6 else "better than a coin"
        return "like a coin" if high < 0.8 else "can't be told"


def reliabilities(said: Mapping[str, Sequence[tuple[Query, Said]]]) -> list[Reliability]:
    """Learn how reliable people are, together with what they agree on.

    Of options i and j, how much better i is, d, is normal before any answer, alike for pairs of options with alike
    states. A person with sureness b and a pull to the left a chooses left with odds exp(b d + a), as in Chen et al.
    2013 (Pairwise ranking aggregation in a crowdsourced setting), whose model is Dawid & Skene's for comparisons; ties
    are Davidson's (1970), with a parameter that is learned. Sureness may be negative: that of somebody who wants the
    opposite, and who would make a mean over people meaningless. Laplace's approximation, by
    expectation-maximisation; intervals are from the curvature of the marginal likelihood, and a little
    narrow where few people judged pairs whose states tell nothing. Of more than 300 pairs as many are looked at, in
    turn for each person.

    Args:
        said: What each person said to which queries, as they were shown.

    Returns:
        One for each person who judged any two options; none if fewer than two people did.
    """
    judged = _Judged.of(said)
    if len(judged.people) < 2:
        return []
    theta = judged.fit()
    found = []
    for number, who in enumerate(judged.people):
        at = np.array([number, len(judged.people) + number])
        (b, a), (b_error, a_error) = theta[at], np.sqrt(np.diag(judged.covariance(theta, at)))
        found.append(Reliability(who, float(expit(b)), _ends(b, b_error), float(expit(a)), _ends(a, a_error)))
    return found


def _ends(mean: float, error: float) -> tuple[float, float]:
    """Compute the ends of a probability's 95 % interval, from log odds."""
    return float(expit(mean - 1.96 * error)), float(expit(mean + 1.96 * error))


def _chosen(judges: Mapping[tuple[str, str], Sequence[str]]) -> list[tuple[str, str]]:
    """Choose as many pairs as are looked at, in turn for each person, those first that most people judged."""
    mine: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for pair in sorted(judges, key=lambda pair: -len(judges[pair])):
        for who in judges[pair]:
            mine[who].append(pair)
    in_turn = (pair for together in zip_longest(*mine.values()) for pair in together if pair is not None)
    return list(dict.fromkeys(in_turn))[:PAIRS_MOST]


@dataclass(frozen=True)
class _Judged:
    """M judgements of P pairs by people.

    Args:
        people: Names.
        before: Covariance of how much better the first of each pair is, before any answer, shape (P, P).
        pair: Of each judgement, shape (M,).
        person: Likewise.
        sign: 1 where the pair was shown in its own order, -1 in reverse, shape (M,).
        sided: 1 where it had a left side, 0 where it was part of a ranking, shape (M,).
        outcome: 0 left, 1 right, 2 tie, shape (M,).
    """

    people: Sequence[str]
    before: Array
    pair: Array
    person: Array
    sign: Array
    sided: Array
    outcome: Array

    @classmethod
    def of(cls, said: Mapping[str, Sequence[tuple[Query, Said]]]) -> _Judged:
        segments: dict[str, Segment] = {}
        judgements: dict[tuple[str, str], list[tuple[str, int, bool, int]]] = defaultdict(list)
        for who, mine in said.items():
            for query, answer in mine:
                digests = [segment_digest(segment) for segment in query.options]
                segments |= dict(zip(digests, query.options, strict=True))
                for (i, j), better in pairs(answer, len(digests)).items():
                    if digests[i] != digests[j]:
                        one, other = sorted((digests[i], digests[j]))
                        sign = 1 if one == digests[i] else -1
                        sided = not isinstance(answer, Ranking)
                        judgements[one, other].append((who, sign, sided, OUTCOMES[better]))
        most = _chosen({pair: [who for who, *_ in by] for pair, by in judgements.items()})
        rows = [(number, *one) for number, pair in enumerate(most) for one in judgements[pair]]
        people = sorted({row[1] for row in rows})
        return cls(
            people,
            _alike([(segments[one], segments[other]) for one, other in most]) if most else np.zeros((0, 0)),
            np.array([row[0] for row in rows], int),
            np.array([people.index(row[1]) for row in rows], int),
            np.array([row[2] for row in rows], float),
            np.array([row[3] for row in rows], float),
            np.array([row[4] for row in rows], int),
        )

    @property
    def prior(self) -> tuple[Array, Array]:
        """Mean and standard deviation of the parameters: sureness of each person, pull of each, ties."""
        each = (*[SURENESS] * len(self.people), *[SIDE] * len(self.people), TIES)
        mean, std = np.array(each).T
        return mean, std

    def fit(self) -> Array:
        """Find the parameters' mode, shape (2 people + 1,)."""
        mean, std = self.prior
        theta = mean.copy()
        for _ in range(EM_STEPS):
            better, variance, _ = self._laplace(theta)
            spread = np.sqrt(np.maximum(variance, 0))
            at = better[self.pair][:, None] + spread[self.pair][:, None] * POINTS

            def loss(now: Array, at: Array = at) -> tuple[float, Array]:
                b, logits = self._logits(now, at)
                likelihood, slope, tie_slope = _davidson(logits, self.outcome[:, None], now[-1])
                by_side = (slope * WEIGHTS).sum(axis=1)
                by_sureness = (slope * at * WEIGHTS).sum(axis=1) * self.sign
                n = len(self.people)
                gradient = np.concatenate(
                    [
                        np.bincount(self.person, by_sureness, n),
                        np.bincount(self.person, by_side * self.sided, n),
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
        return self._laplace(theta)[2] - 0.5 * float((((theta - mean) / std) ** 2).sum())

    def _logits(self, theta: Array, better: Array) -> tuple[Array, Array]:
        """Compute log odds of left, shape (M, ...), where the pairs differ by `better`."""
        n = len(self.people)
        b, a = theta[self.person] * self.sign, theta[n + self.person] * self.sided
        return b, (b * better.T + a).T

    def _laplace(self, theta: Array) -> tuple[Array, Array, float]:
        """Approximate how much better the first of each pair is: mean, variance, and the log marginal likelihood."""
        p = len(self.before)
        better, alpha = np.zeros(p), np.zeros(p)
        for _ in range(NEWTON_STEPS):  # Rasmussen & Williams 2006, algorithm 3.1
            b, logits = self._logits(theta, better[self.pair])
            _, slope, _ = _davidson(logits, self.outcome, theta[-1])
            bent = _curvature(logits, theta[-1])
            gradient = np.bincount(self.pair, slope * b, p)
            root = np.sqrt(np.bincount(self.pair, bent * b**2, p))
            inner = np.eye(p) + root[:, None] * self.before * root
            wanted = root**2 * better + gradient
            alpha = wanted - root * _solve(inner, root * (self.before @ wanted))
            moved, better = np.abs(self.before @ alpha - better).max(), self.before @ alpha
            if moved < 1e-6:
                break
        solved = _solve(inner, root[:, None] * self.before)
        variance = np.diag(self.before) - ((self.before * root) * solved.T).sum(axis=1)
        likelihood = _davidson(self._logits(theta, better[self.pair])[1], self.outcome, theta[-1])[0].sum()
        volume = torch.linalg.slogdet(torch.from_numpy(inner)).logabsdet.item()
        return better, variance, float(likelihood - 0.5 * alpha @ better - 0.5 * volume)


def _solve(matrix: Array, of: Array) -> Array:
    """Solve a linear system by torch, which keeps to the threads it is given."""
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


def _alike(options: Sequence[tuple[Segment, Segment]]) -> Array:
    """Compute how alike pairs are, shape (P, P), with a diagonal of mean 1: as their differences in mean states are."""
    features = np.array([[_summary(segment) for segment in pair] for pair in options])
    std = features.reshape(-1, features.shape[-1]).std(axis=0)
    differences = (features[:, 0] - features[:, 1]) / np.where(std > 1e-9, std, 1)
    gram = differences @ differences.T
    size = np.trace(gram) / len(gram)
    alike = gram / size if size > 0 else np.zeros_like(gram)
    return np.asarray(ALIKE * alike + (1 - ALIKE) * np.eye(len(gram)))


def _summary(segment: Segment) -> Array:
    """Sum up what a segment shows: means of states, their squares and actions over its steps, and how many it lived."""
    states = segment.observations[1:].reshape(segment.lived, -1).astype(np.float64)
    actions = segment.actions.reshape(segment.lived, -1).astype(np.float64)
    means = np.concatenate([states, states**2, actions, actions**2], axis=1).sum(axis=0) / segment.length
    return np.append(means, segment.lived / segment.length)
