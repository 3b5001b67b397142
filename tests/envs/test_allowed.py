"""An environment whose spaces are refused is refused with a wrapper that helps."""

import re

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlhf_gym.envs.allowed import check_spaces, is_far_from_unit
from rlhf_gym.envs.checked import Checked
from rlhf_gym.errors import BadInput

BOX = spaces.Box(-1, 1, (2,))


class Any(gymnasium.Env):
    """Takes what its action space has, and nothing else."""

    def __init__(self, observation_space=BOX, action_space=BOX):
        self.observation_space, self.action_space = observation_space, action_space
        self.taken = []

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample(), {}

    def step(self, action):
        action = np.asarray(action, self.action_space.dtype)[()] if self.action_space.dtype else action
        assert self.action_space.contains(action), action
        self.taken.append(np.array(action).tolist())
        return self.observation_space.sample(), 0.0, False, False, {}


def helped(env):
    """The environment in the wrapper that its refusal names."""
    with pytest.raises(BadInput) as caught:
        check_spaces(env, "Any-v0")
    advice = re.search("Wrap the environment: (.*); and register a function that returns it", str(caught.value))
    names = {"gymnasium": gymnasium, "np": np, "env": env, "Box": spaces.Box, "Discrete": spaces.Discrete}
    return eval(advice[1], names)


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict({"a": BOX, "b": spaces.Discrete(3)}),
        spaces.Tuple([BOX, spaces.Discrete(3)]),
        spaces.Discrete(4, start=1),
        spaces.MultiBinary(3),
        spaces.MultiDiscrete([2, 3]),
        spaces.Box(-1, 1, ()),
    ],
    ids=str,
)
def test_observations_are_flattened_by_the_wrapper_that_is_named(space):
    env = helped(Any(observation_space=space))
    check_spaces(env, "Any-v0")
    env = Checked(env, env_id="Any-v0")
    assert env.reset(seed=0)[0].shape == env.observation_space.shape
    env.step(np.zeros(2))


@pytest.mark.parametrize(
    "space, taken",
    [
        (spaces.Discrete(3, start=1), [1, 2, 3]),
        (spaces.MultiDiscrete([2, 2]), [[0, 0], [0, 1], [1, 0], [1, 1]]),
        (spaces.MultiDiscrete([1, 2], start=[5, -1]), [[5, -1], [5, 0]]),
    ],
    ids=str,
)
def test_every_discrete_action_is_reached_through_the_wrapper_that_is_named(space, taken):
    env = helped(made := Any(action_space=space))
    check_spaces(env, "Any-v0")
    env = Checked(env, env_id="Any-v0")
    for action in range(env.action_space.n):
        env.step(action)
    assert made.taken == taken


@pytest.mark.parametrize("space", [spaces.MultiBinary(3), spaces.Box(-np.inf, np.inf, (2, 2))], ids=str)
def test_continuous_actions_have_finite_bounds_in_the_wrapper_that_is_named(space):
    env = helped(made := Any(action_space=space))
    check_spaces(env, "Any-v0")
    Checked(env, env_id="Any-v0").step(np.full(env.action_space.shape, -1.0))
    assert np.shape(made.taken[0]) == space.shape


@pytest.mark.parametrize(
    "spaces_", [{"action_space": spaces.Tuple([BOX])}, {"action_space": spaces.Box(0, 1, ())},
                {"observation_space": spaces.Sequence(BOX)}],
    ids=str,
)  # fmt: skip
def test_where_no_wrapper_does_it_alone_one_is_named_that_takes_a_function(spaces_):
    with pytest.raises(BadInput, match=r"gymnasium.wrappers.Transform(Action|Observation)\(env, .*as module:Id$"):
        check_spaces(Any(**spaces_), "Any-v0")


def test_a_space_that_is_missing_is_asked_for():
    class None_(gymnasium.Env):
        observation_space = BOX

    with pytest.raises(BadInput, match="env_id is Any-v0, which has no action_space; give it one: Box with finite"):
        check_spaces(None_(), "Any-v0")
    with pytest.raises(BadInput, match="env_id is Any-v0, which has no observation_space; give it one: Box"):
        check_spaces(Any(observation_space=3), "Any-v0")


@pytest.mark.parametrize(
    ("space", "far"),
    [
        (spaces.Box(-1, 1, (2,)), False),
        (spaces.Box(-0.4, 0.4, (2,)), False),
        (spaces.Box(np.float32([-1, 5]), np.float32([1, 7])), True),
        (spaces.Box(-1000, 1000, (1,)), True),
        (spaces.Discrete(100), False),
    ],
)
def test_boxes_that_actions_of_size_one_hardly_reach_are_known(space, far):
    assert is_far_from_unit(space) is far
