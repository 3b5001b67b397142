"""Controls of a result: settings for the same run with another reward, random answers or no learning."""

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
    """Keep the initial policy by a learning rate of 0; the other settings only save time."""
    still = {"options": {"learning_rate": 0.0, "n_epochs": 1}}
    return {**constant(1.0), "agent": still, "total_timesteps": total_timesteps}
