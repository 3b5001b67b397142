"""Reward functions: of one step or a batch, and made of others."""

import numpy as np
import pytest
from gymnasium import spaces

from rlhf_gym.rewards import RewardModel, scaled
from rlhf_gym.segments import Array

STEPS = {
    "box": (spaces.Box(-9, 9, (4,)), spaces.Box(-1, 1, (3,))),
    "discrete": (spaces.Box(-9, 9, (4,)), spaces.Discrete(2, start=1)),
    "images": (spaces.Box(0, 255, (2, 3), np.uint8), spaces.Discrete(2)),
    "numbers": (spaces.Discrete(5), spaces.Discrete(2)),
}


@pytest.mark.parametrize(("observations", "actions"), STEPS.values(), ids=STEPS)
def test_one_step_is_paid_a_float_that_it_is_paid_in_a_batch(observations: spaces.Space, actions: spaces.Space) -> None:
    pay = RewardModel(observations, actions, inputs="transition", seed=1).reward_function()
    for space in (observations, actions):
        space.seed(0)
    before, taken, after = (
        np.array([space.sample() for _ in range(6)]) for space in (observations, actions, observations)
    )
    batch = pay(before, taken, after, np.zeros(6, bool))
    assert batch.shape == (6,) and batch.dtype == np.float32
    for i in range(6):
        alone = pay(before[i], taken[i], after[i], False)
        assert type(alone) is float and alone == pytest.approx(batch[i], rel=1e-5, abs=1e-6)
    assert pay(before[0].tolist(), taken[0].tolist(), after[0].tolist()) == pay(before[0], taken[0], after[0])


def first_number(observations: Array, actions: Array, next_observations: Array, terminated: Array) -> Array:
    return np.asarray(observations[:, 0])


def test_a_scaled_function_pays_the_difference_from_zero_in_units() -> None:
    observations = np.array([[3.0], [5.0]], np.float32)
    pay = scaled(first_number, zero=1.0, unit=4.0)
    paid = pay(observations, np.zeros(2), observations, np.zeros(2, bool))
    assert paid.tolist() == [0.5, 1.0] and paid.dtype == np.float32
    assert observations.tolist() == [[3], [5]]  # what the other paid isn't written over


def test_a_unit_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match="unit is 0"):
        scaled(first_number, unit=0)
