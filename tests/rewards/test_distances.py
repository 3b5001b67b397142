"""EPIC and DARD, on rewards whose distance is known."""

import dataclasses

import numpy as np
import pytest

from rlhf_gym.rewards.metrics.dard import dard
from rlhf_gym.rewards.metrics.epic import epic
from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.rewards.metrics.quadratic import with_true_function
from rlhf_gym.segments import Ending, Trajectory

GAMMA = 0.9
BOTH = pytest.mark.parametrize("metric", [epic(), dard()], ids=["epic", "dard"])


def reward(observations, actions, following):
    return observations[:, 0] + actions[:, 0] ** 2 + 0.5 * observations[:, 1] * following[:, 1]


def shaped(one):
    """Pay one reward and a potential's discounted rise (Ng, Harada & Russell 1999)."""

    def rewards(observations, actions, following):
        def potential(states):
            return np.sin(states[:, 0]) + states[:, 1] ** 2

        return one(observations, actions, following) + GAMMA * potential(following) - potential(observations)

    return rewards


def judged(learned, true=reward, *, walks=None, actions=None):
    rng = np.random.default_rng(0)
    walks = [np.cumsum(rng.normal(size=(41, 2)), axis=0) for _ in range(4)] if walks is None else walks
    actions = [rng.normal(size=(len(walk) - 1, 1)) for walk in walks] if actions is None else actions
    steps = [(walk[:-1], one, walk[1:]) for walk, one in zip(walks, actions, strict=True)]
    paid, worth = ([function(*one) for one in steps] for function in (learned, true))
    return Judged(
        trajectories=[
            Trajectory(walk, one, rewards, Ending.TRUNCATED)
            for walk, one, rewards in zip(walks, actions, worth, strict=True)
        ],
        learned=paid,
        true=worth,
        members=[one[None] for one in paid],
        inputs=[walk[:-1] for walk in walks],
        labelled=[],
        segment_length=5,
        gamma=GAMMA,
        learned_function=learned,
        true_function=true,
        true_explained=1.0,
    )


@BOTH
@pytest.mark.parametrize(
    ("learned", "distance"),
    [
        (reward, 0),
        (lambda *steps: 3 * reward(*steps), 0),
        (lambda *steps: reward(*steps) + 7, 0),
        (shaped(reward), 0),
        (lambda *steps: 5 * shaped(reward)(*steps) - 2, 0),
        (lambda *steps: -reward(*steps), 1),
        (shaped(lambda *steps: -2 * reward(*steps) + 1), 1),
    ],
    ids=["itself", "scale", "shift", "shaping", "all three", "negation", "shaped negation"],
)
def test_shaping_scale_and_shift_are_no_distance_and_negation_is_all_of_it(metric, learned, distance):
    assert metric(judged(learned)) == pytest.approx(distance, abs=1e-6)


@BOTH
def test_a_reward_that_is_nothing_but_shaping_has_no_distance_to_anything(metric):
    assert np.isnan(metric(judged(shaped(lambda observations, *_: np.zeros(len(observations))))))


@BOTH
def test_shaping_by_another_discount_is_a_distance(metric):
    assert metric(dataclasses.replace(judged(shaped(reward)), gamma=0.5)) > 0.05


def test_rewards_that_have_nothing_in_common_are_at_a_root_of_a_half():
    # Two halves of an action that take all four pairs of signs equally often: uncorrelated, and no state matters.
    signs = np.tile([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], (25, 1))
    one = judged(
        lambda observations, actions, _: actions[:, 0],
        lambda observations, actions, _: actions[:, 1],
        walks=[np.arange(101.0)[:, None]],
        actions=[signs],
    )
    assert epic()(one) == pytest.approx(np.sqrt(0.5), abs=1e-6)


def test_dard_leaves_out_what_never_happens_and_epic_does_not():
    def wild(observations, actions, following):
        leap = np.abs(following[:, 0] - observations[:, 0]) > 2
        return following[:, 0] * actions[:, 0] + leap * 50 * np.cos(7 * observations[:, 0])

    def tame(observations, actions, following):
        return following[:, 0] * actions[:, 0]

    walks = [np.linspace(0, 20, 201)[:, None] for _ in range(3)]
    one = judged(wild, tame, walks=walks)
    assert dard(neighbours=5)(one) == pytest.approx(0, abs=1e-6)
    assert epic()(one) > 0.3


@BOTH
def test_an_environments_reward_is_told_by_a_quadratic_where_it_is_one(metric):
    def of_the_environment(observations, actions, following):
        return 1 + 2 * following[:, 0] - actions[:, 0] ** 2

    told = with_true_function(dataclasses.replace(judged(of_the_environment, of_the_environment), true_function=None))
    assert told.true_explained == pytest.approx(1, abs=1e-6)
    assert metric(told) == pytest.approx(0, abs=1e-3)


@BOTH
def test_a_reward_that_no_quadratic_explains_is_told(metric):
    rng = np.random.default_rng(0)
    noise = judged(reward, lambda observations, *_: rng.normal(size=len(observations)))
    told = with_true_function(dataclasses.replace(noise, true_function=None))
    with pytest.raises(ValueError, match=r"explains -?0\.\d\d of it and 0\.8 is needed; use a goal, or more episodes"):
        metric(told)


@BOTH
def test_too_few_steps_or_trajectories_are_told(metric):
    few = judged(reward, walks=[np.zeros((11, 2)), np.zeros((11, 2))])
    with pytest.raises(ValueError, match=r"(epic|dard) needs at least 50 steps and got 20; play more episodes"):
        metric(few)
    one = dataclasses.replace(judged(reward, walks=[np.zeros((101, 2))]), true_function=None)
    with pytest.raises(ValueError, match=r"(epic|dard) needs at least 2 trajectories, or a goal, and got 1"):
        metric(with_true_function(one))


def test_neighbours_out_of_range_are_refused():
    with pytest.raises(ValueError, match="dard got neighbours 50; use 1 to 49"):
        dard(neighbours=50)
