"""From steps to the reward networks' inputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from gymnasium import spaces

from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array
from rlhf_gym.spaces import space_from_json, space_to_json

Inputs = Literal["observation", "observation_action", "transition"]
WIDE, NUMBERS_AT_ONCE = 2**10, 2**24  # steps with more inputs are encoded 64 MB of float32 at a time
BYTES = np.uint8


@dataclass(frozen=True)
class Encoding:
    """The features of a step that the networks see, flattened into one vector.

    Args:
        observation_space: Box of any shape, or Discrete, seen as its number.
        action_space: Discrete, seen one-hot, or Box.
        inputs: s, (s, a) or (s, a, s').
        observe: The coordinates of the flattened observation that are seen, such as "0:27" or "0,3,5:9", counted from
            0; None is all.

    Attributes:
        size: D, the length of the vector.
        action_columns: Where in it the action is.
        continuous_actions: Whether those columns are an action's coordinates, and not a one-hot number.
        dtype: uint8 if all inputs are bytes, as in an image, which takes a quarter of the memory; otherwise float32.

    Raises:
        BadInput: On other inputs or spaces, or coordinates that the observation doesn't have.
    """

    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    inputs: Inputs = "observation_action"
    observe: str | None = None
    observation_shape: tuple[int, ...] = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)
    action_columns: slice = field(init=False, repr=False, compare=False)
    continuous_actions: bool = field(init=False, repr=False, compare=False)
    dtype: np.dtype[Any] = field(init=False, repr=False, compare=False)
    _seen: Array | None = field(init=False, repr=False, compare=False)
    _actions: Array | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.inputs not in get_args(Inputs):
            raise BadInput(f"inputs is {self.inputs!r}; use one of {', '.join(get_args(Inputs))}")
        for what, space in (("observations", self.observation_space), ("actions", self.action_space)):
            if not isinstance(space, spaces.Box | spaces.Discrete):
                raise BadInput(f"{what} are {space}; a reward model takes Box or Discrete: use a wrapper")
        shape, action = tuple(self.observation_space.shape or ()), self.action_space
        discrete = isinstance(action, spaces.Discrete)
        seen = None if self.observe is None else _coordinates(self.observe, math.prod(shape))
        state = math.prod(shape) if seen is None else len(seen)
        acts = int(action.n) if isinstance(action, spaces.Discrete) else math.prod(action.shape or ())
        acts = 0 if self.inputs == "observation" else acts
        in_bytes = self.observation_space.dtype == np.uint8
        made = {
            "observation_shape": shape,
            "size": state * (2 if self.inputs == "transition" else 1) + acts,
            "action_columns": slice(state, state + acts),
            "continuous_actions": not discrete and acts > 0,
            "dtype": np.dtype(BYTES if in_bytes and (discrete or not acts) else np.float32),
            "_seen": seen,
            "_actions": action.start + np.arange(action.n) if isinstance(action, spaces.Discrete) else None,
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)

    def __call__(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """Encode steps; nothing is standardised yet.

        Args:
            observations: Shape (..., *obs), with any leading axes: none, (S,) or (N, T).
            actions: Shape (..., *act).
            next_observations: Shape (..., *obs).

        Returns:
            float32, shape (..., D).

        Raises:
            BadInput: On observations of another shape, such as images whose channels are first and should be last.
        """
        lead = observations.shape[: observations.ndim - len(self.observation_shape)]
        if (shape := observations.shape[len(lead) :]) != self.observation_shape:
            raise BadInput(
                f"observations have the shape {shape} each, and the reward was learned from {self.observation_shape}; "
                "use them as the environment gives them"
            )
        state = math.prod(self.observation_shape)  # not -1: there may be no steps
        parts = [self._look_at(observations.reshape(*lead, state))]
        if self.inputs != "observation":
            one_hot = self._actions is not None
            acts = self.action_columns.stop - self.action_columns.start
            parts.append(actions.reshape(*lead, 1) == self._actions if one_hot else actions.reshape(*lead, acts))
        if self.inputs == "transition":
            parts.append(self._look_at(next_observations.reshape(*lead, state)))
        return np.concatenate(parts, axis=-1, dtype=np.float32, casting="unsafe")

    def at_once(self, steps: int) -> int:
        """Return how many of `steps` to hold encoded at once: all, or with wide inputs as many as memory allows."""
        return steps if self.size <= WIDE else max(1, min(steps, NUMBERS_AT_ONCE // self.size))

    def names(self, observations: Sequence[str], actions: Sequence[str]) -> list[str]:
        """Name the D features, from the names of all coordinates of the observation and the action.

        Raises:
            BadInput: If there are more or fewer names than coordinates.
        """
        acts = self.action_columns.stop - self.action_columns.start
        sizes = {"observations": math.prod(self.observation_shape), "actions": acts or len(actions)}
        for given, (what, size) in zip((observations, actions), sizes.items(), strict=True):
            if len(given) != size:
                raise BadInput(f"{what} holds {len(given)} names of {size} coordinates; give each its name")
        seen = observations if self._seen is None else [observations[i] for i in self._seen]
        after = [f"next {name}" for name in seen] if self.inputs == "transition" else []
        return [*seen, *(actions if self.inputs != "observation" else ()), *after]

    def _look_at(self, flat: Array) -> Array:
        return flat if self._seen is None else flat[..., self._seen]

    def to_json(self) -> dict[str, Any]:
        """Turn the encoding into plain JSON values, which :meth:`from_json` reads.

        Raises:
            BadInput: If a space is neither Box nor Discrete.
        """
        both = {"observation_space": self.observation_space, "action_space": self.action_space}
        seen = {} if self.observe is None else {"observe": self.observe}
        return {"inputs": self.inputs, **seen, **{name: space_to_json(space) for name, space in both.items()}}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Encoding:
        """Read what :meth:`to_json` wrote.

        Raises:
            BadInput: If a space is described wrongly.
            KeyError: If something is missing.
        """
        observation_space, action_space = map(space_from_json, (content["observation_space"], content["action_space"]))
        return cls(observation_space, action_space, content["inputs"], content.get("observe"))


def _coordinates(wanted: str, size: int) -> Array:
    """Read "0,3,5:9" as numbers of coordinates, each below `size`, ascending."""
    numbers: set[int] = set()
    for part in wanted.split(","):
        first, colon, end = (text.strip() for text in part.partition(":"))
        try:
            found = range(int(first or 0), int(end or size)) if colon else [int(first)]
        except ValueError:
            found = []
        if not len(found) or min(found) < 0 or max(found) >= size:
            raise BadInput(
                f"reward.observe is {wanted!r}, of which {part.strip()!r} names no coordinate; the observation has "
                f'{size}, 0 to {size - 1}: use numbers and ranges of them, such as "0:{size}"'
            )
        numbers |= set(found)
    return np.array(sorted(numbers))
