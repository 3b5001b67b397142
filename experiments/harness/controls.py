"""Controls of a result: the same run, paid another reward than the learned one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, Any]

TRUE: Settings = {"labels": 0, "reward": {"source": "true"}}
TRUE_SCALED: Settings = {"labels": 0, "reward": {"source": "normalised_true"}}
UNTRAINED: Settings = {"labels": 0, "reward": {"source": "untrained"}}


def constant(reward: float) -> Settings:
    """Pay the same for every step."""
    return {"labels": 0, "reward": {"source": "constant", "source_options": {"value": reward}}}


def random_answers(labels: int) -> Settings:
    """Answer every query at random."""
    return {"labels": labels, "teacher": "random"}


def untrained_policy(total_timesteps: int) -> Settings:
    """Keep the initial policy: learning rate 0 does so, and the rest only saves time."""
    still = {"options": {"learning_rate": 0.0, "n_epochs": 1}}
    return {**constant(1.0), "agent": still, "total_timesteps": total_timesteps}
