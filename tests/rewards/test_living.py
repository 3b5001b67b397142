"""The worth of living."""

import numpy as np
import pytest
from scipy.special import expit

from rlhf_gym.rewards.living import worth_of_living

BOTH, ONE = np.array([[True, True]]), np.ones(1)
LEFT = np.array([[1.0, 0.0]])


def test_answers_between_fully_lived_segments_say_nothing_of_living() -> None:
    assert worth_of_living(np.array([[3.0, 0.0]]), np.array([[50.0, 50.0]]), LEFT, BOTH, ONE) == 0


def test_a_teacher_who_prefers_the_longer_life_makes_living_good_and_one_who_prefers_the_shorter_bad() -> None:
    lived = np.array([[10.0, 4.0]])
    good = worth_of_living(np.zeros((1, 2)), lived, LEFT, BOTH, ONE)
    bad = worth_of_living(np.zeros((1, 2)), lived, 1 - LEFT, BOTH, ONE)
    assert good == pytest.approx(-bad, abs=1e-3) and good > 0
    # Where the slope of the prior's w^2/2 meets that of the answer: w = 6 (1 - sigmoid(6 w)).
    assert good == pytest.approx(6 * expit(-6 * good), abs=1e-3)


def test_no_number_of_answers_takes_it_beyond_five_standard_deviations() -> None:
    many = 4000
    lived = np.tile([[1.0, 0.0]], (many, 1))
    all_left, all_both = np.tile(LEFT, (many, 1)), np.tile(BOTH, (many, 1))
    worth = worth_of_living(np.zeros((many, 2)), lived, all_left, all_both, np.ones(many))
    assert 4.5 < worth <= 5


def test_an_option_that_is_not_offered_is_not_looked_at() -> None:
    offered = np.array([[True, True, False]])
    lived, first = np.array([[5.0, 5.0, 0.0]]), np.array([[1.0, 0, 0]])
    assert worth_of_living(np.zeros((1, 3)), lived, first, offered, ONE) == 0


def test_a_choice_counts_as_much_as_it_weighs() -> None:
    lived = np.array([[3.0, 1.0]])
    twice = worth_of_living(
        np.zeros((2, 2)), np.tile(lived, (2, 1)), np.tile(LEFT, (2, 1)), np.tile(BOTH, (2, 1)), np.ones(2)
    )
    assert worth_of_living(np.zeros((1, 2)), lived, LEFT, BOTH, np.array([2.0])) == pytest.approx(twice, abs=1e-6)
