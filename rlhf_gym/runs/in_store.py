"""A run among others in a store that several share: the name it has there, and what people are shown of it."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.places import absolute_store
from rlhf_gym.errors import BadInput
from rlhf_gym.store import FIRST, StoredRun

LONGEST = 80  # characters of what a made-up name begins with


def with_place_in_store(config: RLHFConfig) -> RLHFConfig:
    """Complete the path of the store of a run that begins, and its name there.

    A name that isn't given is made up: that of the run directory, or the environment's, and six digits that nothing
    else has. They are no part of the run's own draws.

    Raises:
        BadInput: If there is a name, and no store that is shared.
    """
    feedback = config.feedback
    if feedback.store is None and feedback.run is not None:
        raise BadInput(
            f"feedback.run is {feedback.run}, and feedback.store isn't set; name the store, or leave run out"
        )
    name = feedback.run or (feedback.store and _made_up(config))
    return config.replace(feedback={"store": absolute_store(feedback.store, Path.cwd()), "run": name})


def run_in_store(config: RLHFConfig) -> StoredRun:
    """Say which run of its store is this one, and what people are shown of it."""
    feedback = config.feedback
    shown = {name: getattr(feedback, name) for name in ("instructions", "levels", "draw")}
    # In a store of its own it needs no name, nor had it one in earlier versions.
    return StoredRun(feedback.run or FIRST, env_id=config.env_id, labels=config.labels, **shown)


def _made_up(config: RLHFConfig) -> str:
    name = Path(config.run_dir).absolute().name if config.run_dir else config.env_id
    return f"{re.sub(r'[^A-Za-z0-9_.,=+@-]', '-', name)[:LONGEST]}-{secrets.token_hex(3)}"
