"""Sources of reward: what each pays, by hand."""

import numpy as np
import pytest
from gymnasium import spaces

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.registry import SOURCES, make
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.rewards.sources import Paid, Situation
from rlhf_gym.segments import Ending, Trajectory

TRAJECTORY = Trajectory(np.arange(5.0)[:, None], np.zeros(4), np.array([1.0, 2.0, 3.0, 6.0]), Ending.TRUNCATED)
STEPS = (np.ones((3, 1)), np.zeros(3), np.full((3, 1), 2.0), np.zeros(3, bool))


def learned(observations, *_):
    return np.full(len(observations), 7.0)


def goal(observations, actions, next_observations):
    return 2 * next_observations[:, 0]


def nothing():
    return lambda situation: None


def pays(name, *, by=None, shift=False, trajectories=(TRAJECTORY,), **options):
    return make("reward.source", name, options)(Situation(learned, by, trajectories, shift))


@pytest.fixture
def options(tmp_path):
    """What a source can't do without, by its name."""
    space = spaces.Box(-1, 1, (1,))
    RewardModel(space, spaces.Discrete(2)).save(tmp_path)
    return {"frozen": {"path": str(tmp_path)}}


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("by", [None, goal], ids=["true", "goal"])
def test_every_registered_source_pays_one_finite_number_a_step_or_the_environments_own(name, by, options):
    for trajectories in ((), (TRAJECTORY,)):  # before anything was done, and then
        paid = pays(name, by=by, trajectories=trajectories, **options.get(name, {}))
        assert isinstance(paid, Paid) and np.isfinite([paid.zero, paid.unit]).all() and paid.unit > 0
        if paid.reward_function is not None:
            rewards = paid.reward_function(*STEPS)
            assert rewards.shape == (3,) and np.isfinite(rewards).all()


def test_what_is_learned_is_paid_and_an_untrained_model_likewise():
    assert [pays(name).reward_function(*STEPS).tolist() for name in ("learned", "untrained")] == [[7, 7, 7]] * 2


def test_the_true_reward_is_the_environments_or_the_goals():
    assert pays("true") == Paid(None)
    assert pays("true", by=goal).reward_function(*STEPS).tolist() == [4, 4, 4]


def test_a_constant_is_one_unless_told_otherwise():
    assert pays("constant").reward_function(*STEPS).tolist() == [1, 1, 1]
    assert pays("constant", value=-0.5).reward_function(*STEPS).tolist() == [-0.5] * 3


def test_a_normalised_true_reward_has_unit_size_over_what_was_done():
    # 1, 2, 3, 6: mean 3, variance (4 + 1 + 0 + 9) / 4; mean square (1 + 4 + 9 + 36) / 4.
    paid = pays("normalised_true", shift=True)
    assert (paid.reward_function, paid.zero, paid.unit) == (None, 3, pytest.approx(3.5**0.5))
    paid = pays("normalised_true")
    assert (paid.zero, paid.unit) == (0, pytest.approx(12.5**0.5))
    assert pays("normalised_true", by=goal, shift=True).zero == 5  # 2 times 1, 2, 3 and 4


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("os:getcwd", r"gives str; expected a function of \(situation\)"),
        ("operator:not_", "is 'operator:not_', which takes a by place alone"),
        (f"{__name__}:{nothing.__name__}", r"gives None; expected rlhf_gym.rewards.sources.Paid\(reward_function\)"),
    ],
)
def test_a_source_of_the_users_own_that_gives_something_else_is_refused(source, told):
    with pytest.raises(ValueError, match=f"reward.source .*({told})"):
        RLHF(RLHFConfig.for_env("CartPole-v1", labels=0, reward={"source": source}))
