"""How surely each person chooses, learned together with a reward that is linear in features.

This is Dawid & Skene's model (1979) for choices, as in Chen et al. 2013 (Pairwise ranking aggregation in a crowdsourced
setting), with options described by features, as in Raykar et al. 2010 (Learning from crowds): a person with sureness b
and bias to the left a chooses left with odds exp(b d + a), where d is how much better the left option is. A person who
answers at random has sureness 0, and one who wants the opposite a negative one, so that their answers, reversed, inform
as much as others'. Occasional mistakes lower a person's sureness and have no parameter of their own, since mistakes and
low sureness look alike in a few hundred answers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor

from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.features import SCALES
from rlhf_gym.rewards.laplace import laplace
from rlhf_gym.rewards.linear import LinearPart, Standardise
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.rewards.pairs import break_up
from rlhf_gym.rewards.posterior import principal
from rlhf_gym.segments import Array

SURENESS, SIDE = (1.0, 1.0), (0.0, 0.5)
"""Prior mean and standard deviation of a person's sureness and of the bias to the left."""
PULL = 4.0  # pseudo-weights that damp the updates of the prior's width
EM_MOST, NEWTON_STEPS, SETTLED = 30, 3, 1e-2
LEAST_SHARE = 1e-4  # of a Newton step; a smaller one isn't made
POINTS, _MASS = np.polynomial.hermite_e.hermegauss(5)
WEIGHTS = _MASS / _MASS.sum()  # quadrature weights of a mean over a standard normal


class Judgements(NamedTuple):
    """P comparisons by people.

    Args:
        inputs: Feature differences, in directions whose weights have independent unit priors, shape (P, r).
        targets: Probability that the first option was preferred, shape (P,).
        weights: How much each counts, shape (P,).
        person: Index of the person who compared, shape (P,).
        sided: 1 where a bias to the first option may have decided, 0 elsewhere, shape (P,).
    """

    inputs: Array
    targets: Array
    weights: Array
    person: Array
    sided: Array


def learn_sureness(data: Dataset, model: RewardModel, steps: Tensor) -> dict[str, float]:
    """Learn each person's sureness from the answers of all, and scale their choices' log-odds by it.

    Args:
        data: Choices; their sureness is changed in place.
        model: Model whose inputs, and features if it has a linear part, are used; it isn't changed.
        steps: Encoded steps that the input statistics were computed from, shape (S, D).

    Returns:
        Sureness by person, with a mean square over choices of 1; empty for a single person, whose answers can't be
        compared with others'.
    """
    if len(data.people) < 2:
        return {}
    linear = model.linear
    if linear is None:
        linear = LinearPart(model.encoding, "quadratic")
        linear.freeze(steps, model.standardise)
    sureness, _ = judged(_judgements(data, linear, model.standardise), len(data.people))
    sureness /= np.sqrt(np.average(sureness[data.person] ** 2, weights=data.weights))
    sureness *= majority(sureness, np.bincount(data.person, data.weights))
    data.sureness = torch.from_numpy(sureness[data.person]).float()
    return dict(zip(data.people, sureness.tolist(), strict=True))


@torch.no_grad()
def _judgements(data: Dataset, linear: LinearPart, standardise: Standardise) -> Judgements:
    sums, groups = linear.sums(data, standardise), linear.features.groups
    targets = data.targets.double().numpy()
    pairs = break_up(sums, data.rows.numpy(), data.offered.numpy(), targets, data.weights)
    prior = (np.array(list(SCALES.values())) ** 2 / np.bincount(groups, minlength=len(SCALES)).clip(1))[groups]
    _, inputs = principal(pairs.differences * np.sqrt(prior))
    choice = pairs.group
    return Judgements(inputs, pairs.targets, pairs.weights, data.person[choice], data.sided[choice].astype(float))


def judged(judgements: Judgements, people: int) -> tuple[Array, Array]:
    """Find each person's most probable sureness and bias to the left, averaged over possible rewards.

    This is expectation-maximisation, with Laplace's approximation of the reward's weights; it also finds the width of
    their prior.

    Args:
        judgements: P judgements.
        people: Number of people.

    Returns:
        Sureness and bias of each person, both of shape (people,).
    """
    x, targets, weights, person, sided = judgements
    sureness, left, width = np.full(people, SURENESS[0]), np.full(people, SIDE[0]), 1.0
    for _ in range(EM_MOST):
        scaled = width * x
        at = laplace(sureness[person][:, None] * scaled, targets, weights, left[person] * sided)
        better = scaled @ at.mode
        spread = np.sqrt(((scaled @ at.covariance) * scaled).sum(axis=1).clip(0))
        width *= np.sqrt((at.mode @ at.mode + np.trace(at.covariance) + PULL) / (len(at.mode) + PULL))
        before = sureness
        sureness, left = _persons(judgements, better[:, None] + spread[:, None] * POINTS, sureness, left)
        if np.abs(sureness - before).max() < SETTLED:
            break
    return sureness, left


def majority(sureness: Array, answers: Array) -> float:
    """Return -1 if most answers are by people of negative sureness, and 1 otherwise.

    Answers are equally probable if everybody's sureness and the reward change sign. Without this vote, the surest
    person would decide the sign where answers are few, and may be the one who is wrong.

    Args:
        sureness: Sureness of each person; from half of the largest on it is a whole vote, and near 0 almost none.
        answers: Number of answers of each person.
    """
    votes = np.clip(2 * sureness / np.abs(sureness).max(), -1, 1)
    return -1.0 if votes @ answers < 0 else 1.0


def _persons(judgements: Judgements, better: Array, sureness: Array, left: Array) -> tuple[Array, Array]:
    """Move each person's sureness and bias towards the maximum of their posterior, by Newton's method.

    A person's step is halved while it would lower their posterior: where options are far apart, a full step overshoots.

    Args:
        judgements: P judgements.
        better: How much better the first option may be, as values weighted by :data:`WEIGHTS`, shape (P, 5).
        sureness: Of each person, shape (people,).
        left: Bias to the left of each person, likewise.
    """
    _, targets, weights, person, sided = judgements

    def of_each(values: Array) -> Array:
        return np.bincount(person, weights * (values @ WEIGHTS), len(sureness))

    def posterior(sureness: Array, left: Array) -> Array:
        logits = sureness[person][:, None] * better + left[person][:, None] * sided
        prior = ((sureness - SURENESS[0]) / SURENESS[1]) ** 2 + ((left - SIDE[0]) / SIDE[1]) ** 2
        return of_each(targets[:, None] * logits - np.logaddexp(0, logits)) - 0.5 * prior

    sided = sided[:, None]
    for _ in range(NEWTON_STEPS):
        p = expit(sureness[person][:, None] * better + left[person][:, None] * sided)
        off, bent = targets[:, None] - p, p * (1 - p)
        by_sureness = of_each(off * better) - (sureness - SURENESS[0]) / SURENESS[1] ** 2
        by_left = of_each(off * sided) - (left - SIDE[0]) / SIDE[1] ** 2
        surely = of_each(bent * better**2) + SURENESS[1] ** -2
        both, pulled = of_each(bent * better * sided), of_each(bent * sided) + SIDE[1] ** -2
        size = surely * pulled - both**2
        surer, lefter = (pulled * by_sureness - both * by_left) / size, (surely * by_left - both * by_sureness) / size
        now, share = posterior(sureness, left), np.ones(len(sureness))
        while (worse := posterior(sureness + share * surer, left + share * lefter) < now - 1e-9).any():
            share[worse] = np.where(share[worse] > LEAST_SHARE, share[worse] / 2, 0)
        sureness, left = sureness + share * surer, left + share * lefter
    return sureness, left
