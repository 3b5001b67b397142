"""From steps to the reward networks' inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces

from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array
from rlhf_gym.spaces import space_from_json, space_to_json

Inputs = Literal["observation", "observation_action", "transition"]


@dataclass(frozen=True)
class Encoding:
    """The features of a step that the networks see, flattened into one vector.

    Args:
        observation_space: Box of any shape, or Discrete, seen as its number.
        action_space: Discrete, seen one-hot, or Box.
        inputs: s, (s, a) or (s, a, s').

    Attributes:
        size: D, the length of the vector.

    Raises:
        BadInput: On other inputs.
    """

    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    inputs: Inputs = "observation_action"
    observation_shape: tuple[int, ...] = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)
    _actions: Array | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.inputs not in get_args(Inputs):
            raise BadInput(f"inputs is {self.inputs!r}; use one of {', '.join(get_args(Inputs))}")
        shape, action = tuple(self.observation_space.shape or ()), self.action_space
        discrete = isinstance(action, spaces.Discrete)
        size = math.prod(shape) * (2 if self.inputs == "transition" else 1)
        if self.inputs != "observation":
            size += int(action.n) if discrete else math.prod(action.shape or ())  # type: ignore[attr-defined]
        object.__setattr__(self, "observation_shape", shape)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "_actions", action.start + np.arange(action.n) if discrete else None)  # type: ignore[attr-defined]

    def __call__(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """Encode steps; nothing is standardised yet.

        Args:
            observations: Shape (..., *obs), with any leading axes: none, (S,) or (N, T).
            actions: Shape (..., *act).
            next_observations: Shape (..., *obs).

        Returns:
            float32, shape (..., D).
        """
        lead = observations.shape[: observations.ndim - len(self.observation_shape)]
        parts = [observations.reshape(*lead, -1)]
        if self.inputs != "observation":
            one_hot = self._actions is not None
            parts.append(actions.reshape(*lead, 1) == self._actions if one_hot else actions.reshape(*lead, -1))
        if self.inputs == "transition":
            parts.append(next_observations.reshape(*lead, -1))
        return np.concatenate(parts, axis=-1, dtype=np.float32, casting="unsafe")

    def to_json(self) -> dict[str, Any]:
        """Turn the encoding into plain JSON values, which :meth:`from_json` reads.

        Raises:
            BadInput: If a space is neither Box nor Discrete.
        """
        both = {"observation_space": self.observation_space, "action_space": self.action_space}
        return {"inputs": self.inputs, **{name: space_to_json(space) for name, space in both.items()}}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Encoding:
        """Read what :meth:`to_json` wrote.

        Raises:
            BadInput: If a space is described wrongly.
            KeyError: If something is missing.
        """
        observation_space, action_space = map(space_from_json, (content["observation_space"], content["action_space"]))
        return cls(observation_space, action_space, content["inputs"])
