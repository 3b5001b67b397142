"""States unlike those of before are paid more; numbers by hand."""

import numpy as np
import pytest

from rlhf_gym.rewards.state_entropy import FEW_COORDINATES, StateEntropy, distances_to


def pay(reward, states):
    states = np.asarray(states, np.float32)
    return reward(states, np.zeros(len(states)), states, np.zeros(len(states), bool))


def test_a_state_is_paid_by_the_distance_of_its_kth_neighbour():
    reward = StateEntropy(k=2)
    reward.compare_with(np.array([[0.0], [1.0], [3.0], [4.0]]))
    # Second neighbours of the four are 3, 2, 2 and 3 away: 2.5 on average, as is the unit of what is paid.
    own = np.log(1 + np.array([3, 2, 2, 3]) / 2.5)
    expected = np.log(1 + np.array([1.0, 6.0]) / 2.5) / own.std()  # of 1 the second is 0 (1 is itself), of 9 it is 3
    assert pay(reward, [[1.0], [9.0]]) == pytest.approx(expected, rel=1e-5)


def test_coordinates_count_in_their_own_units():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(500, 2))
    plain, scaled = StateEntropy(), StateEntropy()
    plain.compare_with(states)
    scaled.compare_with(states * [1, 1000])
    others = rng.normal(size=(50, 2))
    assert pay(scaled, others * [1, 1000]) == pytest.approx(pay(plain, others), rel=1e-3)


@pytest.mark.parametrize("coordinates", [2, 2 * FEW_COORDINATES])
def test_numbers_that_hardly_change_and_large_ones_alike_hide_no_distance(coordinates):
    rng = np.random.default_rng(0)
    states, others = (rng.normal(size=(n, coordinates)) for n in (500, 50))
    plain, among = StateEntropy(), StateEntropy()
    plain.compare_with(states)
    constant = [np.full((n, 1), 1000.0 / 3, np.float32) * (1 + 1e-7 * rng.integers(-1, 2, (n, 1))) for n in (500, 50)]
    among.compare_with(np.hstack([1000 + states, constant[0]]).astype(np.float32))
    paid = pay(among, np.hstack([1000 + others, constant[1]]).astype(np.float32))
    assert paid == pytest.approx(pay(plain, others), rel=0.02)


def test_nothing_is_paid_before_there_are_states_and_never_less_than_nothing():
    reward = StateEntropy()
    assert pay(reward, [[1.0], [2.0]]).tolist() == [0, 0]
    reward.compare_with(np.zeros((5, 1)))  # not one more than k
    assert pay(reward, [[1.0]]).tolist() == [0]
    reward.compare_with(np.zeros((9, 1)))  # all the same: no unit is to be had
    assert np.isfinite(pay(reward, [[0.0], [2.0]])).all() and pay(reward, [[0.0]]) == [0]
    states = np.random.default_rng(0).normal(size=(3000, 3))
    reward.compare_with(states)
    assert pay(reward, states).min() >= 0


def test_more_states_than_wanted_are_thinned_evenly():
    reward, same = StateEntropy(k=1, states=3), StateEntropy(k=1)
    reward.compare_with(np.arange(5.0)[:, None])
    same.compare_with(np.array([[0.0], [2.0], [4.0]]))
    assert pay(reward, [[1.0], [7.0]]).tolist() == pay(same, [[1.0], [7.0]]).tolist()


@pytest.mark.parametrize("coordinates", [1, FEW_COORDINATES, FEW_COORDINATES + 1, 30])
def test_distances_are_those_of_all_pairs_sorted(coordinates):
    rng = np.random.default_rng(0)
    points, others = (rng.normal(size=(n, coordinates)).astype(np.float32) for n in (40, 7))
    pairs = np.linalg.norm(others[:, None] - points[None], axis=-1)
    for k in (1, 5):
        found = distances_to(points)(others, k)
        assert found == pytest.approx(np.sort(pairs, axis=1)[:, k - 1], abs=1e-3)
        assert found.dtype == np.float32
