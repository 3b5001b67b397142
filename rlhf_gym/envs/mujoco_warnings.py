"""Keep MuJoCo's warnings out of MUJOCO_LOG.TXT, which it writes to the working directory by default."""

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
    """Print a warning, and never raise, as `warnings` may: an exception in MuJoCo's C code would end the process."""
    if not any(part in message for part in UNHELPFUL):
        with suppress(Exception):
            print(f"MuJoCo warns: {message}", file=sys.stderr, flush=True)
