import numpy as np
import pytest

from rlhf_gym.queries import SCHEDULES, apportion, christiano, constant

BUDGETS = [1, 2, 3, 7, 20, 50, 99, 100, 1000, 12_345]
ROUNDS = [1, 2, 3, 5, 10, 37, 250]


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("rounds", ROUNDS)
def test_every_schedule_spends_its_budget_exactly(schedule, rounds):
    for labels in BUDGETS:
        for first_fraction in (0.0, 0.25, 0.5, 1.0):
            spent = schedule(labels, 2048 * np.arange(rounds), first_fraction=first_fraction, halving_steps=2e6)
            assert (len(spent), sum(spent), min(spent) >= 0) == (rounds, labels, True)
            assert all(type(n) is int for n in spent)  # written to YAML and CSV as they are


def test_constant_asks_the_same_number_every_round():
    assert constant(20, np.arange(4), first_fraction=0.25, halving_steps=2e6) == [5, 5, 5, 5]


def test_a_remainder_is_spread_evenly_over_time():
    # 2.5, 5, 7.5 and 10 labels are due after each round, rounded half up: 3, 5, 8, 10.
    assert constant(10, np.arange(4), first_fraction=0.25, halving_steps=2e6) == [3, 2, 3, 2]
    # 0.3, 0.6, ... 3: the borders 0.5, 1.5 and 2.5 are passed in rounds 2, 5 and 9.
    assert np.flatnonzero(apportion(3, np.ones(10))).tolist() == [1, 4, 8]


def test_christiano_asks_a_quarter_before_any_policy_update():
    assert christiano(100, 1000 * np.arange(10), first_fraction=0.25, halving_steps=2e6)[0] == 25
    assert christiano(50, 1000 * np.arange(10), first_fraction=0.1, halving_steps=2e6)[0] == 5


def test_christiano_decays_as_two_million_over_steps_plus_two_million():
    # After the first quarter of 28, 7, the weights at 0, 2e6 and 6e6 steps are 1, 1/2, 1/4: 21 labels are 12 + 6 + 3.
    assert christiano(28, np.array([0, 0, 2e6, 6e6]), first_fraction=0.25, halving_steps=2e6) == [7, 12, 6, 3]


def test_christiano_asks_all_in_its_only_round():
    assert christiano(30, np.array([500]), first_fraction=0.25, halving_steps=2e6) == [30]


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, [0, 4, 4]), (1.0, [8, 0, 0])])
def test_christiano_may_ask_nothing_or_all_at_first(fraction, expected):
    assert christiano(8, np.zeros(3), first_fraction=fraction, halving_steps=2e6) == expected


def test_a_short_half_life_asks_early():
    # 20/(0+20), 20/(20+20), 20/(60+20): 1, 1/2, 1/4 of the rate
    assert christiano(14, np.array([0, 0, 20, 60]), first_fraction=0.0, halving_steps=20) == [0, 8, 4, 2]
