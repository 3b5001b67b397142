"""Which values a setting may have, written beside its field, and which don't go together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from rlhf_gym.errors import BadInput
from rlhf_gym.registry import source_entry, teacher_entry


@dataclass(frozen=True)
class AtLeast:
    """A bound of a number, or of each number of a tuple; None passes."""

    least: int

    def check(self, name: str, value: Any) -> None:
        """Refuse a value below the bound.

        Raises:
            BadInput: Naming the setting and the bound.
        """
        for number in value if isinstance(value, tuple) else (value,):
            if number is not None and not number >= self.least:
                raise BadInput(f"{name} is {number}; use at least {self.least}")


@dataclass(frozen=True)
class _Fraction:
    def check(self, name: str, value: Any) -> None:
        if not 0 <= value <= 1:
            raise BadInput(f"{name} is {value}; use a number from 0 to 1")


Fraction: Final = _Fraction()
"""From 0 to 1, both included."""


def check_together(config: Any) -> None:
    """Refuse settings that don't go together.

    Args:
        config: An :class:`RLHFConfig`, whose own module imports this one.

    Raises:
        BadInput: Naming the settings.
    """
    _check_labels(config)
    _check_steps(config)
    _check_teacher(config)


def _check_labels(config: Any) -> None:
    if not config.labels and source_entry(config.reward.source).labels and not config.feedback.preferences:
        raise BadInput(
            "labels is 0; use at least 1, or feedback.preferences to learn from, or reward.source other than learned"
        )


def _check_steps(config: Any) -> None:
    """As far as they are known before the agent is there; the plan of rounds knows the rest."""
    options, n_envs = config.agent.options, config.agent.n_envs
    batch, rollout = options.get("batch_size"), n_envs * options.get("n_steps", 1)
    if batch is not None:
        AtLeast(2).check("agent.options.batch_size", batch)  # PPO takes the advantages' standard deviation
    if batch is not None and "n_steps" in options and batch > rollout:
        raise BadInput(
            f"agent.options.batch_size is {batch} but a rollout has {rollout} steps (agent.n_envs x "
            f"agent.options.n_steps); use agent.options.batch_size <= {rollout}"
        )
    least = config.warm_up_steps + rollout
    if config.total_timesteps < least:
        warm_up = "query.warm_up_steps and " if config.warm_up_steps else ""
        raise BadInput(
            f"total_timesteps is {config.total_timesteps}; use at least {least}: {warm_up}one rollout of {config.algo}"
        )


def _check_teacher(config: Any) -> None:
    teacher = teacher_entry(config.teacher)
    if teacher.waits and config.feedback.async_labels:
        raise BadInput(
            f"teacher is {config.teacher}, where the run waits, and feedback.async_labels is on, where it doesn't; "
            "use teacher store, and rlhf-gym label in another terminal"
        )
    if config.feedback.people_per_query > 1 and (teacher.waits or not teacher.people):
        raise BadInput(
            f"feedback.people_per_query is {config.feedback.people_per_query} and teacher is {config.teacher}, "
            "who is one; use teacher web or store"
        )
