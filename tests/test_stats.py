import numpy as np
import pytest
from scipy.stats import bootstrap

from rlhf_gym.stats import (
    bootstrap_interval,
    difference_interval,
    fraction_interval,
    fraction_reached,
    interquartile_mean,
    mean_name,
    probability_of_improvement,
)


def test_interquartile_mean_drops_one_of_five_at_each_end():
    assert interquartile_mean([500, 9, 490, 1000, 480]) == (480 + 490 + 500) / 3


def test_interquartile_mean_drops_two_of_eight_at_each_end_whatever_their_order():
    assert interquartile_mean([8, 1, 7, 2, 6, 3, 5, -100]) == (2 + 3 + 5 + 6) / 4


def test_interquartile_mean_keeps_up_to_three_values():
    assert interquartile_mean([0, 3, 30]) == 11


def test_bootstrap_interval_of_two_values_spans_them():
    # Of the four samples (0, 0), (0, 1), (1, 0), (1, 1) a quarter has mean 0 and a quarter mean 1.
    assert bootstrap_interval([0, 1], seed=0) == (0, 1)


@pytest.mark.parametrize(("confidence", "high"), [(0.4, 0), (0.8, 4), (0.95, 8)])
def test_bootstrap_interval_ends_where_the_share_of_samples_says(confidence, high):
    # Samples of (0, 0, 0, 8) hold 0 to 4 eights with chances 81, 108, 54, 12 and 1 in 256, and their interquartile
    # means are 0, 0, 4, 8 and 8. So 74 % of samples are at 0 and 95 % at 4 or below.
    assert bootstrap_interval([0, 0, 0, 8], seed=0, confidence=confidence) == (0, high)


def test_bootstrap_interval_agrees_with_scipy():
    values = np.random.default_rng(1).normal(size=10)
    theirs = bootstrap(
        (values,), interquartile_mean, vectorized=False, method="percentile", n_resamples=4000, random_state=2
    ).confidence_interval
    assert bootstrap_interval(values, seed=0) == pytest.approx(tuple(theirs), abs=0.08)


def test_bootstrap_interval_of_equal_values_is_that_value():
    assert bootstrap_interval([500] * 5, seed=0) == (500, 500)


def test_same_seed_gives_the_same_interval_and_another_seed_another():
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    few = {"n_resamples": 50}
    assert bootstrap_interval(values, seed=3, **few) == bootstrap_interval(values, seed=3, **few)
    assert bootstrap_interval(values, seed=3, **few) != bootstrap_interval(values, seed=4, **few)


def test_fraction_is_of_interquartile_means():
    # The middle three of five are 60, 70 and 80, of four the middle two are 90 and 110.
    assert fraction_reached([0, 60, 70, 80, 500], [110, 90, 0, 900]) == 0.7


def test_above_a_floor_the_fraction_is_of_what_was_gained():
    assert fraction_reached([-10], [-5], floor=[-45]) == 35 / 40
    assert fraction_reached([-45], [-5], floor=[-45]) == 0
    assert fraction_reached([-65], [-5], floor=[-45]) == -0.5


def test_there_is_no_fraction_of_what_is_not_above_the_floor():
    with pytest.raises(ValueError, match="theirs is -5, which isn't above the floor of 0"):
        fraction_reached([-10], [-5])


def test_fraction_interval_beside_a_certain_figure_is_that_of_the_mean():
    # Of the samples of (100, 200) a quarter has mean 100 and a quarter 200.
    assert fraction_interval([100, 200], [100], seed=0) == (1, 2)
    assert fraction_interval([100, 200], [150], floor=[50], seed=0) == (0.5, 1.5)


def test_fraction_interval_counts_what_is_uncertain_on_both_sides():
    # 1/4 of the samples have the lowest of ours, 1/4 the highest of theirs: together 1/16, more than a tail of 1/40.
    assert fraction_interval([100, 200], [50, 100], seed=0) == (1, 4)
    assert fraction_interval([100, 200], [50, 100], seed=0, confidence=0.5) != (1, 4)


def test_fraction_interval_has_no_upper_end_where_nothing_may_have_been_learned():
    # A quarter of the samples of (-10, 100) has mean -10: no part of that can be taken.
    low, high = fraction_interval([50], [-10, 100], seed=0)
    assert (low, high) == (0.5, float("inf"))


def test_fraction_interval_of_what_lost_has_no_lower_end_where_nothing_may_have_been_learned():
    low, high = fraction_interval([-20], [-10, 100], seed=0)
    assert (low, high) == (float("-inf"), -0.2)


def test_difference_interval_beside_a_certain_figure_is_that_of_the_mean():
    # Of the samples of (100, 200) a quarter has mean 100 and a quarter 200.
    assert difference_interval([100, 200], [150], seed=0) == (-50, 50)
    assert difference_interval([150], [100, 200], seed=0) == (-50, 50)


def test_difference_interval_counts_what_is_uncertain_on_both_sides():
    # The lowest of ours beside the highest of theirs, and the other way round, are 1/16 of the samples each.
    assert difference_interval([0, 10], [0, 1], seed=0) == (-1, 10)


def test_the_middle_of_fewer_than_four_is_called_a_mean():
    assert [mean_name(n) for n in (1, 3, 4, 10)] == ["mean", "mean", "interquartile mean", "interquartile mean"]


def test_probability_of_improvement_counts_pairs_and_half_of_ties():
    # 1 beats none of 2, 2, 3; 3 beats two of them and ties with one: 2.5 of 6 pairs.
    assert probability_of_improvement([1, 3], [2, 2, 3]) == 2.5 / 6


def test_probability_of_improvement_is_a_half_between_equals():
    assert probability_of_improvement([500] * 5, [500] * 5) == 0.5


@pytest.mark.parametrize("values", [[], [[1.0, 2.0]], [1.0, float("nan")], [float("inf")]])
def test_values_that_cannot_be_summed_up_are_refused(values):
    with pytest.raises(ValueError, match="values (has shape|holds)"):
        interquartile_mean(values)


def test_confidence_of_one_is_refused():
    with pytest.raises(ValueError, match="confidence is 1; use a number between 0 and 1"):
        bootstrap_interval([1, 2], seed=0, confidence=1)
