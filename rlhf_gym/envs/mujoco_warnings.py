"""MuJoCo's warnings, kept out of files: by itself it also writes MUJOCO_LOG.TXT into the working directory."""

from __future__ import annotations

import sys
from contextlib import suppress

UNHELPFUL = ("'settotalmass' is deprecated",)  # about Gymnasium's model files, which nobody here can change


def tidy_warnings() -> None:
    """Print MuJoCo's warnings to stderr only, if it is imported and nothing handles them yet."""
    mujoco = sys.modules.get("mujoco")
    handler = getattr(mujoco, "get_mju_user_warning", None)  # not every version has it
    if mujoco is not None and handler is not None and handler() is None:
        mujoco.set_mju_user_warning(_pass_on)


def _pass_on(message: str) -> None:
    """Print a warning, and never raise: MuJoCo, which is C, would end the process; `warnings` can be errors."""
    if not any(part in message for part in UNHELPFUL):
        with suppress(Exception):
            print(f"MuJoCo warns: {message}", file=sys.stderr, flush=True)
