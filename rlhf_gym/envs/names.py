"""Names of the coordinates of observations and actions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium
import mujoco
from gymnasium import spaces

CLASSIC: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "CartPoleEnv": (("cart position", "cart velocity", "pole angle", "pole angular velocity"), ("left", "right")),
    "PendulumEnv": (("cos(angle)", "sin(angle)", "angular velocity"), ("torque",)),
    "AcrobotEnv": (
        ("cos(angle 1)", "sin(angle 1)", "cos(angle 2)", "sin(angle 2)", "angular velocity 1", "angular velocity 2"),
        ("torque -1", "torque 0", "torque +1"),
    ),
    "MountainCarEnv": (("position", "velocity"), ("push left", "no push", "push right")),
    "Continuous_MountainCarEnv": (("position", "velocity"), ("force",)),
}
"""Names of observations and actions of Gymnasium's classic control, by class."""
FREE, BALL = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)
SPATIAL = ("torque x", "torque y", "torque z", "force x", "force y", "force z")
MOTION = ("rotation x", "rotation y", "rotation z", "velocity x", "velocity y", "velocity z")
INERTIA = ("xx", "yy", "zz", "xy", "xz", "yz", "mass x", "mass y", "mass z", "mass")


def observation_names(env: gymnasium.Env[Any, Any]) -> list[str]:
    """Name each coordinate of an observation, flattened.

    Classic control's come from a table. MuJoCo's are named after the model's joints and bodies, as the environment's
    `observation_structure` lays them out: a joint's name is its position. An environment of your own may have an
    attribute `observation_names`, a list of strings. Any other environment, and one whose wrapper changes the size, has
    `observation[i]`.

    Args:
        env: Wrapped or not.

    Returns:
        As many names as the observation has numbers.
    """
    names = _looked_up(env.unwrapped, 0) or _mujoco_observation(env.unwrapped)
    return names if len(names) == (size := _size(env.observation_space)) else _numbered("observation", size)


def action_names(env: gymnasium.Env[Any, Any]) -> list[str]:
    """Name each coordinate of an action, or each choice of a Discrete one.

    MuJoCo's are named after the actuators, or the joints that they move; an environment of your own may have an
    attribute `action_names`; others are `action[i]`.

    Args:
        env: Wrapped or not.

    Returns:
        As many names as a reward model has inputs for an action, with a Discrete one encoded one-hot.
    """
    space = env.action_space
    size = int(space.n) if isinstance(space, spaces.Discrete) else _size(space)
    names = _looked_up(env.unwrapped, 1) or _mujoco_actions(env.unwrapped)
    return names if len(names) == size else _numbered("action", size)


def _size(space: spaces.Space[Any]) -> int:
    return int(spaces.flatdim(space)) if isinstance(space, spaces.Box) else 1


def _numbered(what: str, size: int) -> list[str]:
    return [f"{what}[{i}]" for i in range(size)]


def _looked_up(env: Any, which: int) -> list[str]:
    own = getattr(env, ("observation_names", "action_names")[which], None)
    if isinstance(own, list | tuple) and all(isinstance(name, str) for name in own):
        return list(own)
    return list(CLASSIC.get(type(env).__name__, ((), ()))[which])


def _mujoco_actions(env: Any) -> list[str]:
    if (model := getattr(env, "model", None)) is None or not isinstance(model, mujoco.MjModel):
        return []
    moved = [model.joint(int(model.actuator_trnid[i, 0])).name for i in range(model.nu)]
    return [f"action {model.actuator(i).name or moved[i] or i}" for i in range(model.nu)]


def _mujoco_observation(env: Any) -> list[str]:
    """Name a MuJoCo environment's observations; empty if their layout isn't known."""
    if not isinstance(model := getattr(env, "model", None), mujoco.MjModel):
        return []
    if own := OWN.get(type(env).__name__):
        return own(model)
    structure = getattr(env, "observation_structure", {})
    named = _named_parts(model, skipped=structure.get("skipped_qpos", 0))
    sizes = {part: size for part, size in structure.items() if part != "skipped_qpos" and size}
    if any(len(named.get(part, ())) != size for part, size in sizes.items()):
        return []
    return [name for part in sizes for name in named[part]]


def _named_parts(model: Any, *, skipped: int) -> dict[str, list[str]]:
    """Name the coordinates of each part that an `observation_structure` may list."""
    velocities = list(_velocities(model))
    return {
        "qpos": list(_positions(model))[skipped:],
        "qvel": velocities,
        "cinert": _by_body(model, "inertia", INERTIA),
        "cvel": _by_body(model, "spatial", MOTION),
        "qfrc_actuator": [f"actuator force {name.removesuffix(' velocity')}" for name in velocities[6:]],
        "cfrc_ext": _by_body(model, "contact", SPATIAL),
    }


def _positions(model: Any) -> Iterator[str]:
    quaternion = tuple(f" quaternion {axis}" for axis in "wxyz")
    return _by_joint(model, {FREE: (" x", " y", " z", *quaternion), BALL: quaternion}, ("",))


def _velocities(model: Any) -> Iterator[str]:
    along, around = ([f" {kind} {axis}" for axis in "xyz"] for kind in ("velocity", "angular velocity"))
    return _by_joint(model, {FREE: (*along, *around), BALL: tuple(around)}, (" velocity",))


def _by_joint(model: Any, parts: dict[int, tuple[str, ...]], one: tuple[str, ...]) -> Iterator[str]:
    """Name the coordinates of each joint by `parts` of its type, or `one` for a hinge or a slide."""
    for i in range(model.njnt):
        name = model.joint(i).name or f"joint {i}"
        yield from (f"{name}{part}" for part in parts.get(int(model.jnt_type[i]), one))


def _by_body(model: Any, what: str, parts: Sequence[str]) -> list[str]:
    """Name the coordinates of a quantity of each body except the world."""
    return [f"{what} {_body(model, i)} {part}" for i in range(1, model.nbody) for part in parts]


def _body(model: Any, i: int) -> str:
    """Name a body; one without a name after its nearest ancestor that has one."""
    if name := model.body(i).name:
        return str(name)
    return f"below {_body(model, int(model.body_parentid[i]))}"


def _reacher(model: Any) -> list[str]:
    joints, velocities = list(_positions(model)), list(_velocities(model))
    turned = [f"{function}({joint})" for function in ("cos", "sin") for joint in joints[:2]]
    return [*turned, *joints[2:], *velocities[:2], "fingertip - target x", "fingertip - target y"]


def _double_pendulum(model: Any) -> list[str]:
    slider, *hinges = _positions(model)
    turned = [f"{function}({hinge})" for function in ("sin", "cos") for hinge in hinges]
    return [slider, *turned, *_velocities(model), f"constraint force {slider}"]


def _pusher(model: Any) -> list[str]:
    places = [f"{body} {axis}" for body in ("tips_arm", "object", "goal") for axis in "xyz"]
    return [*list(_positions(model))[:7], *list(_velocities(model))[:7], *places]


OWN: dict[str, Callable[[Any], list[str]]] = {
    "ReacherEnv": _reacher,
    "InvertedDoublePendulumEnv": _double_pendulum,
    "PusherEnv": _pusher,
}
"""How to name the observations of MuJoCo environments that don't describe them by `observation_structure`."""
