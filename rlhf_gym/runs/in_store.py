"""A run in a store that several runs share: its name there, and what people are shown of it."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.places import absolute_store
from rlhf_gym.errors import BadInput
from rlhf_gym.store import FIRST, StoredRun

LONGEST = 80  # characters of a made-up name before its random digits


def with_place_in_store(config: RLHFConfig) -> RLHFConfig:
    """Make the path of a new run's store absolute, and give the run a name there.

    A missing name is made up from the name of the run directory or the environment, and six random hexadecimal digits,
    which aren't drawn from the run's own generators.

    Raises:
        BadInput: If `feedback.run` is set and `feedback.store` isn't.
    """
    feedback = config.feedback
    if feedback.store is None and feedback.run is not None:
        raise BadInput(
            f"feedback.run is {feedback.run}, and feedback.store isn't set; name the store, or leave run out"
        )
    name = feedback.run or (feedback.store and _made_up(config))
    return config.replace(feedback={"store": absolute_store(feedback.store, Path.cwd()), "run": name})


def run_in_store(config: RLHFConfig, *, before: int = 0) -> StoredRun:
    """Describe a run for its store: its name there, and what people are shown of it.

    Args:
        config: Its settings.
        before: Labels that it began with; people see them counted, so they belong to the budget they see.
    """
    feedback = config.feedback
    shown = {name: getattr(feedback, name) for name in ("instructions", "levels", "draw")}
    # In a store of its own a run needs no name, and had none in earlier versions.
    return StoredRun(feedback.run or FIRST, env_id=config.env_id, labels=before + config.labels, **shown)


def _made_up(config: RLHFConfig) -> str:
    name = Path(config.run_dir).absolute().name if config.run_dir else config.env_id
    return f"{re.sub(r'[^A-Za-z0-9_.,=+@-]', '-', name)[:LONGEST]}-{secrets.token_hex(3)}"
