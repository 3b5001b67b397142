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


def cloned_alone() -> Settings:
    """Keep the policy that a run starts from: one update at a learning rate of 0, after two steps of each environment.

    Statistics of observations go on being counted at that rate, and a policy that is normalised by others than it was
    cloned with is another one.
    """
    still = {"options": {"learning_rate": 0.0, "n_epochs": 1, "n_steps": 2, "batch_size": 16}}
    return {**constant(1.0), "agent": {"n_envs": 8, **still}, "query": {"rounds": 1}, "total_timesteps": 16}
