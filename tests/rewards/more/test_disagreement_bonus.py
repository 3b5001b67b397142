"""The bonus: what members disagree about is paid on top, less and less."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import choices
from rlhf_gym.rewards import RewardLearner, RewardModel
from rlhf_gym.rewards.more.disagreement_bonus import disagreement_bonus, plus_disagreement
from rlhf_gym.segments import Array, RewardFunction
from tests.rewards.test_learner import TWO, episodes, preferences, scaled_rewards, steps_of

WATCHED = episodes()
STEPS = (*steps_of(WATCHED), np.zeros(80, bool))


def learner(linear: Any = None, **bonus: float) -> RewardLearner:
    model = RewardModel(TWO, spaces.Discrete(2), ensemble_size=3, hidden=(8,), linear=linear, seed=0)
    one = RewardLearner(model, rng=np.random.default_rng(0), l2=1e-3, more=[disagreement_bonus(**bonus)])
    one.fit(choices(preferences(12)))
    one.rescale(WATCHED, shift=False)
    return one


def bonus_of(one: RewardLearner, steps: int) -> Array:
    return np.asarray(one.reward_function(steps)(*STEPS) - one.model.reward_function()(*STEPS))


def test_it_is_a_part_of_the_members_standard_deviation_less_its_mean() -> None:
    one = learner(beta=0.5, decay=0.0)
    std = scaled_rewards(one, WATCHED).std(dim=0, correction=0).numpy()
    np.testing.assert_allclose(bonus_of(one, 0), 0.5 * (std - std.mean()), atol=1e-5)


def test_of_a_linear_part_every_draw_is_a_member() -> None:
    one = learner("linear", beta=1.0)
    std = scaled_rewards(one, WATCHED).std(dim=0, correction=0).numpy()
    assert std.std() > 0.01
    np.testing.assert_allclose(bonus_of(one, 0), std - std.mean(), atol=1e-4)


def test_on_average_over_the_latest_steps_it_pays_nothing() -> None:
    assert bonus_of(learner(beta=3.0), 0).mean() == pytest.approx(0, abs=1e-5)


def test_it_decays_by_its_share_in_every_step() -> None:
    one = learner(beta=0.5, decay=0.1)
    start = bonus_of(one, 0)
    assert np.abs(start).max() > 0.01
    np.testing.assert_allclose(bonus_of(one, 1), 0.9 * start, atol=1e-5)
    np.testing.assert_allclose(bonus_of(one, 10), 0.9**10 * start, atol=1e-5)
    np.testing.assert_allclose(bonus_of(one, 10_000), 0 * start, atol=1e-6)


def test_what_is_paid_does_not_follow_the_model() -> None:
    one = learner()
    pay = one.reward_function(0)
    before = pay(*STEPS)
    one.fit(choices(preferences(30, seed=1)))
    one.rescale(WATCHED, shift=False)
    np.testing.assert_array_equal(pay(*STEPS), before)


def test_it_is_known_again_after_an_interruption(tmp_path: Path) -> None:
    one, other = learner(), learner()
    one.rescale(episodes(seed=9), shift=False)
    one.save(tmp_path)
    other.restore(tmp_path)
    np.testing.assert_array_equal(other.reward_function(5)(*STEPS), one.reward_function(5)(*STEPS))


def test_one_step_is_paid_as_in_a_batch() -> None:
    def pays(value: float) -> RewardFunction:
        def reward(observations: Array, *_: Any) -> Any:
            return value if observations.ndim == 1 else np.full(len(observations), value, np.float32)

        return reward

    both = plus_disagreement(pays(1.0), pays(4.0), beta=0.5, mean=1.0)
    assert both(*(part[0] for part in STEPS)) == 2.5
    assert both(*STEPS).tolist() == [2.5] * 80 and both(*STEPS).dtype == np.float32


@pytest.mark.parametrize("wrong", [{"beta": -0.1}, {"decay": -0.1}, {"decay": 1.1}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadInput, match=rf"reward\.more\.disagreement_bonus\.{next(iter(wrong))} is"):
        disagreement_bonus(**wrong)
