"""The error where MuJoCo finds no OpenGL to draw with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

from rlhf_gym.errors import BadInput


@contextmanager
def told_without_opengl(env_id: str) -> Iterator[None]:
    """Turn MuJoCo's error, at its import or when it draws, into one line if OpenGL is missing.

    Raises:
        BadInput: Which also says what to set.
    """
    try:
        yield
    except Exception as error:
        # Drivers and their bindings raise all sorts of things, down to None having no attribute.
        if not isinstance(error, (AttributeError, RuntimeError)) and type(error).__name__ != "FatalError":
            raise
        modules = [str(frame.f_globals.get("__name__")) + "." for frame, _ in walk_tb(error.__traceback__)]
        if not any(module.startswith(("mujoco.", "gymnasium.envs.mujoco.")) for module in modules):
            raise
        given = os.environ.get("MUJOCO_GL", "")
        way = "is its library installed (Debian: libegl1)?" if given == "egl" else "use MUJOCO_GL=egl, without a screen"
        raise BadInput(
            f"{env_id} can't be drawn: MuJoCo finds no OpenGL with MUJOCO_GL={given}; {way} ({error})"
        ) from error
