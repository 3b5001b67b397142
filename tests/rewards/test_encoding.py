"""From steps to features, and from JSON back to the same features."""

import json
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards import Encoding

FOUR, LEFT_RIGHT = spaces.Box(-np.inf, np.inf, (4,)), spaces.Discrete(2)


@pytest.mark.parametrize(
    ("observations", "actions", "sizes"),
    [
        (FOUR, LEFT_RIGHT, [4, 6, 10]),
        (FOUR, spaces.Box(-1, 1, (3, 2)), [4, 10, 14]),
        (spaces.Box(0, 255, (2, 3), np.uint8), spaces.Discrete(4, start=-1), [6, 10, 16]),
        (spaces.Discrete(5), LEFT_RIGHT, [1, 3, 4]),
    ],
)
def test_size_is_how_many_features_a_step_has(
    observations: spaces.Space, actions: spaces.Space, sizes: list[int]
) -> None:
    for inputs, size in zip(("observation", "observation_action", "transition"), sizes, strict=True):
        encoding = Encoding(observations, actions, inputs)
        steps = [np.array([space.sample()] * 3) for space in (observations, actions, observations)]
        assert encoding.size == size
        assert encoding(*steps).shape == (3, size) and encoding(*steps).dtype == np.float32
        assert encoding(*(part[0] for part in steps)).shape == (size,)


@pytest.mark.parametrize("actions", [spaces.Discrete(3, start=-1), spaces.Box(-1, 1, (3,))], ids=["discrete", "box"])
def test_an_encoding_comes_back_from_json(actions: spaces.Space) -> None:
    encoding = Encoding(FOUR, actions, "transition")
    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json(), allow_nan=False)))
    assert again == encoding and again.size == encoding.size
    steps = np.ones((2, 4), np.float32), np.array([actions.sample() for _ in range(2)]), np.zeros((2, 4), np.float32)
    np.testing.assert_array_equal(again(*steps), encoding(*steps))


def test_other_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="inputs is 'state'; use one of observation, observation_action, transition"):
        Encoding(FOUR, LEFT_RIGHT, "state")  # type: ignore[arg-type]


def test_images_with_their_channels_elsewhere_are_refused() -> None:
    encoding = Encoding(spaces.Box(0, 255, (8, 8, 3), np.uint8), LEFT_RIGHT)
    first = np.zeros((5, 3, 8, 8), np.uint8)
    with pytest.raises(ValueError, match=r"shape \(3, 8, 8\) each, and the reward was learned from \(8, 8, 3\); use"):
        encoding(first, np.zeros(5, int), first)


def test_no_steps_are_encoded_as_none() -> None:
    encoding = Encoding(spaces.Box(-1, 1, (3,)), spaces.Discrete(2))
    assert encoding(np.zeros((0, 3)), np.zeros(0, int), np.zeros((0, 3))).shape == (0, 5)


@pytest.mark.parametrize(
    ("observations", "actions", "told"),
    [
        (spaces.Dict({"a": spaces.Discrete(2)}), spaces.Discrete(2), "observations are Dict"),
        (spaces.Box(-1, 1, (3,)), spaces.Tuple([spaces.Discrete(2)]), "actions are Tuple"),
        (spaces.Box(-1, 1, (3,)), spaces.MultiBinary(3), "actions are MultiBinary"),
    ],
)
def test_spaces_that_can_t_be_encoded_are_refused(observations: Any, actions: Any, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        Encoding(observations, actions)
