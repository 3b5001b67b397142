"""Metrics of a learned reward, on numbers by hand."""

import math

import numpy as np
import pytest

from rlhf_gym.registry import METRICS, make
from rlhf_gym.rewards.metrics.correlation import correlation
from rlhf_gym.rewards.metrics.pair_accuracy import pair_accuracy

TRUE = [np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, 4.0])]


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_best_for_the_true_reward_at_any_positive_scale_and_worst_for_its_opposite(name):
    metric = make("metric", name, {})
    assert metric(TRUE, TRUE) == pytest.approx(1)
    assert metric([3 * one for one in TRUE], TRUE) == pytest.approx(1)
    assert metric([-one for one in TRUE], TRUE) == pytest.approx(-1 if name == "correlation" else 0)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_of_a_constant_true_reward_has_nothing_to_tell_it_from(name):
    constant = [np.ones(4), np.ones(4)]
    assert math.isnan(make("metric", name, {})([np.arange(4.0)] * 2, constant))


def test_correlation_is_pearsons():
    # Deviations (-1, 0, 1) and (-1, 1, 0): their product sums to 1, their squares to 2 each.
    assert correlation()([np.array([1.0, 2.0, 3.0])], [np.array([0.0, 2.0, 1.0])]) == pytest.approx(0.5)


def test_pair_accuracy_is_that_of_sums_over_segments():
    # Segments of two steps: true sums 1, 3, 5 and 9; learned 1, 3, 5 and 0: three of six pairs are ordered alike.
    learned = [TRUE[0], np.array([0.0, 0.0])]
    assert pair_accuracy(length=2, pairs=20_000)(learned, TRUE) == pytest.approx(0.5, abs=0.02)  # 5 deviations: 0.018


def test_a_number_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="pair_accuracy got length 0 and pairs 10000; use at least 1 of each"):
        pair_accuracy(length=0)
