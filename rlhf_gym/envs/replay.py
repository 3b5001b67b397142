"""Replay: play recorded actions again from the recorded seed, and check that it is the same episode."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np

from rlhf_gym.envs.opengl import told_without_opengl
from rlhf_gym.envs.remade import remake_env
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Origin, Segment, Trajectory

OR_PLOTS = "or plots of its observations (`draw=False` in Python, --draw states of a command)"


def replay(what: Segment | Trajectory, *, draw: bool = True, every: int = 1, **drawing: Any) -> Array:
    """Simulate a segment (or a whole trajectory) again.

    Args:
        what: Has an origin and all actions since its episode began.
        draw: Whether to draw frames, or only check that it replays.
        every: Draw every `every`-th observation, and always the first and the last.
        **drawing: Keyword arguments of the environment that change only how it is drawn (MuJoCo: width, height).

    Returns:
        One frame for each observation drawn, uint8, shape (ceil(steps / every) + 1, height, width, 3); empty without
        `draw`.

    Raises:
        BadInput: If it has no origin, can't be drawn, or the replayed observations differ from the stored ones.
    """
    origin = _origin(what)
    if draw:
        draw_without_screen()
    env = remake_env(origin, render_mode="rgb_array" if draw else None, **(drawing if draw else {}))
    try:
        if draw:
            check_drawable(env, origin.env_id)
            plain_light(env)
            follow(env)
        observation = _go_to_start(env, what, origin)
        frames: list[Array] = []
        for step, action in enumerate([*what.actions, None]):
            _check_same(observation, what, origin, step)
            if draw and (step % every == 0 or action is None):
                with told_without_opengl(origin.env_id):
                    frames.append(checked_frame(env.render(), origin.env_id, before=frames[-1:]))
            if action is not None:
                observation = env.step(action)[0]
    finally:
        env.close()
    return np.array(frames, dtype=np.uint8)


@contextmanager
def at_start(segment: Segment) -> Iterator[tuple[gymnasium.Env[Any, Any], Array]]:
    """Make a segment's environment again, in the state in which the segment starts, and close it at the end.

    Yields:
        The environment, and its observation, shape (*obs).

    Raises:
        BadInput: If the segment has no origin, or its first observation differs from the replayed one.
    """
    origin = _origin(segment)
    env = remake_env(origin)
    try:
        observation = _go_to_start(env, segment, origin)
        _check_same(observation, segment, origin, 0)
        yield env, observation
    finally:
        env.close()


def _origin(what: Segment | Trajectory) -> Origin:
    if what.origin is None:
        raise BadInput(f"{what!r} has no origin to replay it from; record it through envs.make_vec_env")
    return what.origin


def _go_to_start(env: gymnasium.Env[Any, Any], what: Segment | Trajectory, origin: Origin) -> Array:
    """Begin the episode, play the actions before `what`, and return the observation reached."""
    observation, _ = env.reset(seed=origin.seed)
    for action in what.earlier_actions if isinstance(what, Segment) else ():
        observation = env.step(action)[0]
    return np.asarray(observation)


def _check_same(observation: Array, what: Segment | Trajectory, origin: Origin, step: int) -> None:
    """Refuse an observation that isn't exactly the stored one."""
    if np.array_equal(np.asarray(observation, what.observations.dtype), what.observations[step]):
        return
    before = what.start if isinstance(what, Segment) else 0
    raise BadInput(
        f"{origin.env_id} doesn't replay: observation {before + step} of the episode with seed {origin.seed} differs "
        "from the stored one; it may depend on more than its seed and actions"
    )


def check_drawable(env: gymnasium.Env[Any, Any], env_id: str) -> None:
    """Refuse environments that can't draw themselves."""
    modes = env.metadata.get("render_modes", [])
    if "rgb_array" not in modes:
        raise BadInput(
            f"{env_id} can't be drawn: its render_modes are {modes}; expected rgb_array among them, {OR_PLOTS}"
        )


def checked_frame(frame: Any, env_id: str, *, before: Sequence[Array] = ()) -> Array:
    """Return what an environment's render() gave, or refuse what is no picture, or of another size than those before.

    Raises:
        BadInput: Saying what came.
    """
    shape = frame.shape if isinstance(frame, np.ndarray) else ()
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or shape[2:] != (3,) or not frame.size:
        came = f"{frame.dtype} of shape {shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise BadInput(
            f"{env_id} can't be drawn: its render() gives {came}; expected an array of uint8 of shape (height, width, "
            f"3), {OR_PLOTS}"
        )
    for other in before:
        if shape != other.shape:
            raise BadInput(
                f"{env_id} can't be drawn: its render() gives shape {shape} after {other.shape}; expected pictures of "
                f"one size, {OR_PLOTS}"
            )
    return frame


def draw_without_screen() -> None:
    """Let SDL and MuJoCo draw without a display (a server over ssh), unless the user has set how."""
    if sys.platform == "linux" and "DISPLAY" not in os.environ and "WAYLAND_DISPLAY" not in os.environ:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("MUJOCO_GL", "egl")


def follow(env: gymnasium.Env[Any, Any]) -> None:
    """Let MuJoCo's camera follow the body, where the model has such a camera."""
    bare: Any = env.unwrapped
    if getattr(bare, "camera_id", 0) is None and getattr(bare, "camera_name", "") is None:  # none was asked for
        for number in range(bare.model.ncam):
            if bare.model.camera(number).name == "track":
                bare.mujoco_renderer.camera_id = number


def plain_light(env: gymnasium.Env[Any, Any]) -> None:
    """Switch off shadows and reflections, which cost most of the time when MuJoCo draws in software.

    The shadow map and multisampling are switched off too: clips are scaled down, which smooths as well.
    """
    model: Any = getattr(env.unwrapped, "model", None)
    if hasattr(model, "light_castshadow"):
        model.light_castshadow[:] = 0
        model.mat_reflectance[:] = 0
        model.vis.quality.shadowsize = 0
        model.vis.quality.offsamples = 0
