import numpy as np
import pytest

from rlhf_gym.errors import BadInput
from rlhf_gym.queries import apportion, christiano, constant, front_loaded, plan
from rlhf_gym.queries.further import plan_further
from rlhf_gym.registry import SCHEDULES, make

BUDGETS = [1, 2, 3, 7, 20, 50, 99, 100, 1000, 12_345]
ROUNDS = [1, 2, 3, 5, 10, 37, 250]
OPTIONS = {
    "christiano": [{"first_fraction": f} for f in (0.0, 0.25, 0.5, 1.0)],
    "front_loaded": [{"first_fraction": f, "by": by} for f in (0.0, 0.25, 1.0) for by in (0.0, 0.1, 0.5, 1.0)],
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("rounds", ROUNDS)
def test_every_schedule_spends_its_budget_exactly(name, rounds):
    for labels in BUDGETS:
        for options in OPTIONS.get(name, [{}]):
            spent = make("query.schedule", name, options)(labels, 2048 * np.arange(rounds))
            assert (len(spent), sum(spent), min(spent) >= 0) == (rounds, labels, True)
            assert all(type(n) is int for n in spent)  # written to YAML and CSV as they are


def test_constant_asks_the_same_number_every_round():
    assert constant()(20, np.arange(4)) == [5, 5, 5, 5]


def test_a_remainder_is_spread_evenly_over_time():
    # 2.5, 5, 7.5 and 10 labels are due after each round, rounded half up: 3, 5, 8, 10.
    assert constant()(10, np.arange(4)) == [3, 2, 3, 2]
    # 0.3, 0.6, ... 3: the borders 0.5, 1.5 and 2.5 are passed in rounds 2, 5 and 9.
    assert np.flatnonzero(apportion(3, np.ones(10))).tolist() == [1, 4, 8]


def test_christiano_asks_a_quarter_before_any_policy_update():
    assert christiano(0.25, 2e6)(100, 1000 * np.arange(10))[0] == 25
    assert christiano(0.1, 2e6)(50, 1000 * np.arange(10))[0] == 5


def test_christiano_decays_as_two_million_over_steps_plus_two_million():
    # After the first quarter of 28, 7, the weights at 0, 2e6 and 6e6 steps are 1, 1/2, 1/4: 21 labels are 12 + 6 + 3.
    assert christiano(0.25, 2e6)(28, np.array([0, 0, 2e6, 6e6])) == [7, 12, 6, 3]


def test_christiano_asks_all_in_its_only_round():
    assert christiano(0.25, 2e6)(30, np.array([500])) == [30]


@pytest.mark.parametrize(("fraction", "expected"), [(0.0, [0, 4, 4]), (1.0, [8, 0, 0])])
def test_christiano_may_ask_nothing_or_all_at_first(fraction, expected):
    assert christiano(fraction, 2e6)(8, np.zeros(3)) == expected


def test_a_short_half_life_asks_early():
    # 20/(0+20), 20/(20+20), 20/(60+20): 1, 1/2, 1/4 of the rate
    assert christiano(0.0, 20)(14, np.array([0, 0, 20, 60])) == [0, 8, 4, 2]


def test_front_loaded_asks_all_by_the_given_share_of_the_rounds_at_a_rate_that_falls_linearly():
    # Of 24, 6 at first; 18 at rates 3, 2, 1 in the rounds that begin before half of 8.
    assert front_loaded()(24, 1000 * np.arange(8)) == [6, 9, 6, 3, 0, 0, 0, 0]
    # By the end of five of five, rates 4, 3, 2, 1.
    assert front_loaded(0.0, 1.0)(20, np.zeros(5)) == [0, 8, 6, 4, 2]


@pytest.mark.parametrize("rounds", range(1, 30))
@pytest.mark.parametrize("by", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_front_loaded_asks_nothing_in_rounds_that_begin_later(rounds, by):
    spent = front_loaded(by=by)(1000, np.zeros(rounds))
    assert not any(n for i, n in enumerate(spent) if i >= max(1, by * rounds))


def test_front_loaded_asks_all_at_once_where_no_other_round_is_early_enough():
    assert front_loaded(0.25, 0.0)(8, np.zeros(4)) == [8, 0, 0, 0]
    assert front_loaded(0.25, 0.5)(8, np.zeros(2)) == [8, 0]


# The plan of a run


def test_the_plan_counts_labels_up_and_moves_in_whole_portions():
    # 200 steps of warm-up leave 1300, ten portions of 128; four rounds end after 2.5, 5, 7.5 and 10, rounded to even.
    parts = plan(
        16, total_timesteps=1500, warm_up_steps=200, portion=128, rounds=4, schedule=christiano(0.25, 2_000_000)
    )
    assert [part.steps for part in parts] == [2 * 128, 3 * 128, 3 * 128, 2 * 128]
    assert [part.labels for part in parts] == [4, 8, 12, 16]
    assert [(part.round, part.last) for part in parts] == [(0, False), (1, False), (2, False), (3, True)]


def test_there_are_no_more_rounds_than_portions():
    parts = plan(5, total_timesteps=300, warm_up_steps=0, portion=100, rounds=20, schedule=constant())
    assert [part.steps for part in parts] == [100] * 3


def test_every_round_after_the_last_label_is_a_last_one():
    parts = plan(1, total_timesteps=300, warm_up_steps=0, portion=100, rounds=3, schedule=christiano(1.0))
    assert [part.last for part in parts] == [True] * 3


def test_a_run_that_is_too_short_for_one_portion_is_refused():
    with pytest.raises(ValueError, match="total_timesteps is 299; use at least 300: 200 .* portion of 100"):
        plan(5, total_timesteps=299, warm_up_steps=200, portion=100, rounds=3, schedule=constant())


@pytest.mark.parametrize("options", [{"first_fraction": -0.1}, {"by": 1.5}, {"by": float("nan")}])
def test_options_of_front_loaded_out_of_range_are_refused(options):
    [(name, value)] = options.items()
    with pytest.raises(ValueError, match=f"schedule_options.{name} is {value}; use a number from 0 to 1"):
        front_loaded(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_fraction": 1.5}, "first_fraction is 1.5; use a number from 0 to 1"),
        ({"halving_steps": 0}, "halving_steps is 0; use at least 1"),
        ({"halving_steps": float("inf")}, "halving_steps is inf; use at least 1, or schedule constant"),
    ],
)
def test_options_of_christiano_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        christiano(**options)


@pytest.mark.parametrize(
    "given",
    [
        None,
        [0, 0, 0],
        [5, 0],
        [2, 2, 2],
        [6, -1, 0],
        [2.5, 2.5, 0.0],
        [5, float("nan"), 0],
        "abc",
        [[5], [0], [0]],
        [[5], [0, 0]],
    ],
)
def test_a_schedule_that_does_not_spend_its_budget_is_refused(given):
    done = plan(5, total_timesteps=500, warm_up_steps=200, portion=100, rounds=3, schedule=constant())
    with pytest.raises(BadInput, match="query.schedule gave .* for 5 labels in 3 rounds; expected a whole number"):
        plan(5, total_timesteps=500, warm_up_steps=200, portion=100, rounds=3, schedule=lambda *_: given)
    with pytest.raises(BadInput, match="query.schedule gave"):
        plan_further(
            done,
            9,
            total_timesteps=900,
            before=200,
            portion=100,
            schedule=lambda *_: given,
            shown_steps=0,
            shown_envs=1,
        )
