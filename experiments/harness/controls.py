"""What a result stands beside: the same run, paid something else than what was learned from answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, Any]

TRUE: Settings = {"labels": 0, "reward": {"source": "true"}}
TRUE_SCALED: Settings = {"labels": 0, "reward": {"source": "normalised_true"}}
UNTRAINED: Settings = {"labels": 0, "reward": {"source": "untrained"}}


def constant(reward: float) -> Settings:
    """So much for every step, whatever is done."""
    return {"labels": 0, "reward": {"source": "constant", "source_options": {"value": reward}}}


def random_answers(labels: int) -> Settings:
    """The toss of a coin for every answer."""
    return {"labels": labels, "teacher": "random"}


def untrained_policy(total_timesteps: int) -> Settings:
    """The policy as it was born: learning rate 0 leaves it so, and the rest only saves time."""
    still = {"options": {"learning_rate": 0.0, "n_epochs": 1}}
    return {**constant(1.0), "agent": still, "total_timesteps": total_timesteps}
