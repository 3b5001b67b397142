"""Check that an environment's spaces are supported, and suggest wrappers for others."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
from gymnasium import spaces

from rlhf_gym.errors import BadInput

WIDE = 20.0  # width from which a Box is hardly explored by actions of size 1
OBSERVATION, ACTION = "Box", "Box with finite bounds, or Discrete counted from 0"


def check_spaces(env: gymnasium.Env[Any, Any], env_id: str) -> None:
    """Refuse spaces that the reward model or Stable-Baselines3's PPO can't take in.

    Raises:
        BadInput: Naming the space, what is supported, and the wrapper that helps.
    """
    observation: Any = getattr(env, "observation_space", None)
    action: Any = getattr(env, "action_space", None)
    for what, space, fits, supported, wrapped in (
        ("observation", observation, _is_array(observation) and observation.shape != (), OBSERVATION, _flattened),
        ("action", action, _can_act(action), ACTION, _transformed),
    ):
        if not isinstance(space, spaces.Space):
            raise BadInput(f"env_id is {env_id}, which has no {what}_space; give it one: {supported}")
        if not fits:
            raise BadInput(
                f"env_id is {env_id}, whose {what} space is {_shown(space)}; supported: {supported}. Wrap the "
                f"environment: {wrapped(space)}; and register a function that returns it, as module:Id"
            )


def is_far_from_unit(space: spaces.Space[Any]) -> bool:
    """Return whether actions around 0 of size 1 are outside of a Box, or a small part of it, in some coordinate."""
    if not isinstance(space, spaces.Box):
        return False
    return bool(((space.low > 0) | (space.high < 0) | (space.high - space.low > WIDE)).any())


def _is_array(space: Any) -> bool:
    return isinstance(space, spaces.Box) and space.dtype.kind in "fiu" and math.prod(space.shape) > 0


def _can_act(space: Any) -> bool:
    if isinstance(space, spaces.Discrete):
        return bool(space.start == 0)  # SB3's PPO silently counts actions from 0
    return _is_array(space) and space.shape != () and space.is_bounded()


def _shown(space: spaces.Space[Any]) -> str:
    """Name a space by its type, or in full if other spaces of that type are supported."""
    return str(space) if isinstance(space, spaces.Box | spaces.Discrete) else type(space).__name__


def _flattened(space: spaces.Space[Any]) -> str:
    try:
        flat: Any = spaces.flatten_space(space) if space.is_np_flattenable else None
    except (NotImplementedError, ValueError):
        flat = None
    if isinstance(flat, spaces.Box) and flat.shape != (0,):
        return "gymnasium.wrappers.FlattenObservation(env)"
    return "gymnasium.wrappers.TransformObservation(env, a function that gives an array, its Box)"


def _transformed(space: spaces.Space[Any]) -> str:
    made, how = "its Box or Discrete", "a function of its actions"
    if isinstance(space, spaces.Discrete):
        made, how = f"Discrete({space.n})", f"lambda action: action + {space.start}"
    elif isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        sizes, first = tuple(space.nvec.tolist()), space.start.tolist()
        start = f" + np.array({first})" if any(first) else ""
        made, how = (
            f"Discrete({math.prod(sizes)})",
            f"lambda action: np.array(np.unravel_index(action, {sizes})){start}",
        )
    elif isinstance(space, spaces.MultiBinary):
        made, how = f"Box(-1, 1, {space.shape})", "lambda action: (action > 0).astype(np.int8)"
    elif isinstance(space, spaces.Box) and space.shape == ():
        made, how = "Box(low, high, (1,))", "lambda action: action[0]"
    elif isinstance(space, spaces.Box) and space.dtype.kind == "f":
        made, how = f"Box(-1, 1, {space.shape})", "lambda action: action"
    return f"gymnasium.wrappers.TransformAction(env, {how}, {made})"
