"""What MuJoCo warns of, kept out of files: by itself it also writes MUJOCO_LOG.TXT into the working directory."""

from __future__ import annotations

import sys
from contextlib import suppress

UNHELPFUL = ("'settotalmass' is deprecated",)  # about Gymnasium's model files, which nobody here can change


def tidy_warnings() -> None:
    """Have MuJoCo, if it is imported and nobody handles its warnings yet, say them on stderr, and only there."""
    mujoco = sys.modules.get("mujoco")
    handler = getattr(mujoco, "get_mju_user_warning", None)  # not every version has it
    if mujoco is not None and handler is not None and handler() is None:
        mujoco.set_mju_user_warning(_pass_on)


def _pass_on(message: str) -> None:
    """Never raises: MuJoCo, which is C, would end the process; so `warnings`, which can be errors, won't do."""
    if not any(part in message for part in UNHELPFUL):
        with suppress(Exception):
            print(f"MuJoCo warns: {message}", file=sys.stderr, flush=True)
