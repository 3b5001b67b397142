"""Spaces of observations and actions as JSON, so that a reward model can be made where no environment is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from rlhf_gym.arrays import array_from_json, array_to_json
from rlhf_gym.errors import UNREADABLE, BadInput

MOST_ACTIONS = 1_000_000
"""Most actions of a Discrete that is read, because an array of that size is made from it."""


def space_to_json(space: spaces.Space[Any]) -> dict[str, Any]:
    """Turn a Box into its bounds, a Discrete into its count.

    Raises:
        BadInput: If it is another kind of space.
    """
    if isinstance(space, spaces.Box):
        bounds = {"low": array_to_json(space.low), "high": array_to_json(space.high)}
        return {"type": "Box", "shape": list(space.shape), "dtype": str(space.dtype), **bounds}
    if isinstance(space, spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start)}
    raise BadInput(f"a {type(space).__name__} can't be exported; reward models take Box and Discrete")


def space_from_json(content: Mapping[str, Any]) -> spaces.Space[Any]:
    """Make the space that :func:`space_to_json` was given.

    Raises:
        BadInput: If the description is malformed.
    """
    try:
        if content["type"] == "Discrete":
            if not 0 < content["n"] <= MOST_ACTIONS:
                raise ValueError(f"it has {content['n']} actions; expected 1 to {MOST_ACTIONS}")
            return spaces.Discrete(content["n"], start=content["start"])
        if content["type"] == "Box":
            low, high = array_from_json(content["low"]), array_from_json(content["high"])
            return spaces.Box(low, high, tuple(content["shape"]), np.dtype(content["dtype"]).type)
    except UNREADABLE as error:
        raise BadInput(f"a space is described wrongly: {' '.join(str(error).split())}") from error
    raise BadInput(f"a space is {content['type']!r}; expected Box or Discrete")
