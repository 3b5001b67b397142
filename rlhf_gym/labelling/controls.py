"""Keys for actions, in environments that have few."""

from __future__ import annotations

from typing import Any, NamedTuple

from gymnasium import spaces

from rlhf_gym.errors import BadInput

LEFT, UP, RIGHT = "ArrowLeft", "ArrowUp", "ArrowRight"  # as browsers name them
MOST_ACTIONS = 4
NAMES = {
    "CartPole": ("push left", "push right"),
    "MountainCar": ("accelerate left", "don't accelerate", "accelerate right"),
    "Acrobot": ("torque −1", "no torque", "torque +1"),
    "LunarLander": ("do nothing", "fire left engine", "fire main engine", "fire right engine"),
}
"""Names of actions in Gymnasium's documentation, by the environment's name without its version."""


class Control(NamedTuple):
    """A key, and what it does while it is held."""

    key: str
    action: int
    name: str


class Controls(NamedTuple):
    """How an environment is played by keys."""

    keys: tuple[Control, ...]
    idle: tuple[int, ...]
    """Actions taken in turn while no key is held; pushes to either side if no action does nothing."""


def controls(space: spaces.Space[Any], env_id: str) -> Controls:
    """Give every action a key, except the one that is taken while no key is held.

    The middle one of three actions does nothing, the first of four, as in Gymnasium's own environments.

    Raises:
        BadInput: If actions aren't Discrete(2) to Discrete(4), starting at 0.
    """
    if not isinstance(space, spaces.Discrete) or not 2 <= space.n <= MOST_ACTIONS or space.start != 0:
        raise BadInput(f"{env_id} has actions {space}; by keys are played those with Discrete(2) to Discrete(4)")
    n = int(space.n)
    name = env_id.rpartition(":")[2].rpartition("-v")[0]
    names = NAMES.get(name, ())
    names = names if len(names) == n else tuple(f"action {action}" for action in range(n))
    keyed = {2: {LEFT: 0, RIGHT: 1}, 3: {LEFT: 0, RIGHT: 2}, 4: {LEFT: 1, UP: 2, RIGHT: 3}}[n]
    idle = {2: (0, 1), 3: (1,), 4: (0,)}[n]
    return Controls(tuple(Control(key, action, names[action]) for key, action in keyed.items()), idle)
