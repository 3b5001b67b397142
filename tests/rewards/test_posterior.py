"""Bayesian logistic regression: against numbers by hand, brute force, and a known truth."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit

from rlhf_gym.rewards.laplace import laplace
from rlhf_gym.rewards.pairs import Pairs, break_up
from rlhf_gym.rewards.posterior import fit_posterior, mix

ALL = np.array([True, True])


def comparisons(differences: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> Pairs:
    """Answers of a teacher whose reward has these weights."""
    targets = (rng.random(len(differences)) < expit(differences @ weights)).astype(float)
    return Pairs(differences, targets, np.ones(len(targets)), np.arange(len(targets)))


def test_a_comparison_is_one_pair_whose_difference_is_left_less_right() -> None:
    features = np.array([[1.0, 2.0], [5.0, 1.0]])
    pairs = break_up(features, np.array([[0, 1]]), ALL[None], np.array([[0.0, 1.0]]), np.ones(1))
    assert pairs.differences.tolist() == [[-4.0, 1.0]]
    assert (pairs.targets.tolist(), pairs.weights.tolist(), pairs.group.tolist()) == ([0.0], [1.0], [0])


def test_a_choice_made_with_twice_the_sureness_or_the_wrong_way_round_has_such_a_difference() -> None:
    features, offered = np.array([[1.0], [2.0], [4.0]]), np.array([[True, True, False], [True, True, True]])
    chosen = np.array([[1.0, 0, 0], [0, 1, 0]])
    rows, sureness = np.array([[0, 1, 0], [0, 1, 2]]), np.array([2.0, -1.0])
    pairs = break_up(features, rows, offered, chosen, np.ones(2), sureness)
    assert pairs.differences[:, 0].tolist() == [-2.0, 1.0, 2.0]


def test_a_tie_is_half_a_preference_and_a_choice_among_three_two_pairs_of_two_thirds() -> None:
    features, offered = np.array([[1.0], [2.0], [4.0]]), np.array([[True, True, False], [True, True, True]])
    pairs = break_up(
        features, np.array([[0, 1, 0], [0, 1, 2]]), offered, np.array([[0.5, 0.5, 0], [0, 1, 0]]), np.ones(2)
    )
    assert pairs.differences[:, 0].tolist() == [-1.0, -1.0, -2.0]  # 0 against 1; 0 against 1, 1 against 2
    assert pairs.targets.tolist() == [0.5, 0.0, 1.0]
    assert pairs.weights == pytest.approx([1.0, 2 / 3, 2 / 3])
    assert pairs.group.tolist() == [0, 1, 1]


def test_the_mode_of_one_weight_is_where_a_search_finds_it() -> None:
    inputs, targets, weights = np.array([[1.0], [-2.0], [0.5]]), np.array([1.0, 0.0, 0.0]), np.array([1.0, 1.0, 2.0])

    def loss(w: float) -> float:
        f = inputs[:, 0] * w
        return float((weights * (np.logaddexp(0, f) - targets * f)).sum() + w**2 / 2)

    found = laplace(inputs, targets, weights)
    assert found.mode[0] == pytest.approx(minimize_scalar(loss).x, abs=1e-5)
    logits = inputs @ found.mode
    curvature = 1 + (weights * inputs[:, 0] ** 2 * expit(logits) * expit(-logits)).sum()
    assert found.evidence == pytest.approx(-loss(found.mode[0]) - 0.5 * np.log(curvature), abs=1e-4)


def test_more_features_than_answers_and_fewer_give_the_same_posterior_where_both_can() -> None:
    rng = np.random.default_rng(0)
    differences = rng.normal(size=(6, 5))
    pairs = comparisons(differences, np.array([2.0, 0, 0, 0, 0]), rng)
    padded = Pairs(np.hstack([differences, np.zeros((6, 4))]), pairs.targets, pairs.weights, pairs.group)
    one = fit_posterior(pairs, np.zeros(5, int), np.ones(1))
    wide = fit_posterior(padded, np.array([0] * 5 + [1] * 4), np.ones(2))
    assert wide.mean[:5] == pytest.approx(one.mean, abs=1e-6) and (wide.mean[5:] == 0).all()
    assert wide.variance[:5] == pytest.approx(one.variance, abs=1e-6)


def test_two_features_that_matter_are_found_among_a_hundred_and_shuffled_answers_find_nothing() -> None:
    rng = np.random.default_rng(1)
    differences, truth = rng.normal(size=(60, 100)), np.zeros(100)
    truth[[3, 70]] = 6.0, -6.0
    pairs = comparisons(differences, truth, rng)
    fresh = rng.normal(size=(2000, 100))

    def right(pairs: Pairs) -> float:
        mean = fit_posterior(pairs, np.zeros(100, int), np.ones(1)).mean
        return float((np.sign(fresh @ mean) == np.sign(fresh @ truth)).mean())

    shuffled = Pairs(differences, rng.permutation(pairs.targets), pairs.weights, pairs.group)
    assert right(pairs) > 0.85
    assert right(shuffled) < 0.65


def test_draws_lie_opposite_each_other_and_spread_as_the_posterior_does() -> None:
    rng = np.random.default_rng(2)
    posterior = fit_posterior(comparisons(rng.normal(size=(8, 12)), np.ones(12), rng), np.zeros(12, int), np.ones(1))
    draws = posterior.samples(4000, rng=rng)
    assert draws.mean(axis=0) == pytest.approx(posterior.mean, abs=1e-9)
    assert draws.var(axis=0) == pytest.approx(posterior.variance, rel=0.12)


@pytest.mark.parametrize("ranked", [False, True])
def test_leaving_a_choice_out_is_near_fitting_without_it(ranked: bool) -> None:
    rng = np.random.default_rng(3)
    differences = rng.normal(size=(30, 4))
    pairs = comparisons(differences, np.array([1.0, -1.0, 0.5, 0.0]), rng)
    n = 30
    if ranked:  # pairs 0 to 14 of 15 choices two by two, which leave together
        pairs = Pairs(pairs.differences, pairs.targets, pairs.weights, np.repeat(np.arange(15), 2))
        n = 15
    groups, scales = np.zeros(4, int), np.array([2.0])
    posterior = fit_posterior(pairs, groups, scales)
    without = posterior.left_out(pairs, n)
    root = np.sqrt(posterior.prior)
    for i in (0, 7, 14):
        rest = pairs[pairs.group != i]
        exact = laplace(rest.differences * root, rest.targets, rest.weights).mode * root
        assert without[i] == pytest.approx(exact, abs=0.03)
        assert np.abs(without[i] - posterior.mean).max() > 0.005  # it isn't the fit to all


def test_answers_about_one_group_widen_its_scale_and_narrow_the_other() -> None:
    rng = np.random.default_rng(4)
    differences = rng.normal(size=(80, 20))
    truth = np.where(np.arange(20) < 10, rng.normal(size=20) * 3, 0.0)
    groups = (np.arange(20) >= 10).astype(int)
    scales = fit_posterior(comparisons(differences, truth, rng), groups, np.ones(2)).scales
    assert scales[0] >= 4 * scales[1]


def test_separable_answers_end_at_finite_weights() -> None:
    pairs = Pairs(np.array([[1.0], [2.0]] * 20), np.ones(40), np.ones(40), np.arange(40))
    posterior = fit_posterior(pairs, np.zeros(1, int), np.ones(1))
    assert np.isfinite(posterior.mean).all() and 0 < posterior.mean[0] < 50


def test_an_average_of_posteriors_has_their_mean_and_is_wider_where_they_differ() -> None:
    rng = np.random.default_rng(0)
    first, second = (
        fit_posterior(comparisons(rng.normal(size=(20, 2)), np.array([w, 0.0]), rng), np.zeros(2, int), np.ones(1))
        for w in (2.0, -2.0)
    )
    mean, deviation, draws = mix([first, second], np.array([0.25, 0.75]), 400, rng=rng)
    assert mean == pytest.approx(0.25 * first.mean + 0.75 * second.mean)
    apart = 0.25 * 0.75 * (first.mean - second.mean) ** 2  # variance of the two means
    assert deviation**2 == pytest.approx(0.25 * first.variance + 0.75 * second.variance + apart)
    assert draws.shape == (400, 2) and draws.mean(axis=0) == pytest.approx(mean)
    assert draws.std(axis=0) == pytest.approx(deviation, rel=0.15)
    near_first = np.abs(draws[:, 0] - first.mean[0]) < np.abs(draws[:, 0] - second.mean[0])
    assert near_first.mean() == pytest.approx(0.25, abs=0.05)
