"""Make environments that a recording names, which may come from somebody else."""

from __future__ import annotations

from typing import Any

import gymnasium

from rlhf_gym.envs.make import make_env
from rlhf_gym.segments import Origin
from rlhf_gym.trust import check_import


def remake_env(origin: Origin, **drawing: Any) -> gymnasium.Env[Any, Any]:
    """Make the environment of a recorded episode again.

    Args:
        origin: The recorded origin.
        **drawing: As :func:`make_env` takes it.

    Raises:
        BadInput: As :func:`make_env`; also if its module is neither imported nor one that this user has named before.
    """
    check_import("env_id", origin.env_id, "what was recorded")
    return make_env(origin, **drawing)
