"""The error raised when MuJoCo finds no OpenGL to draw with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

from rlhf_gym.errors import BadInput


@contextmanager
def told_without_opengl(env_id: str) -> Iterator[None]:
    """Turn MuJoCo's error about missing OpenGL, at import or when drawing, into one line.

    Raises:
        BadInput: Also saying what to set.
    """
    try:
        yield
    except Exception as error:
        # Drivers and their bindings raise many kinds of errors, even AttributeError on None.
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
