"""The interface of a method: how answers become a better policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rlhf_gym.agents import Agent
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards import RewardFit
from rlhf_gym.segments import Array, Segment, Trajectory


class Lately(NamedTuple):
    """The policy's latest trajectories."""

    trajectories: Sequence[Trajectory | Segment]
    shift: bool
    """Whether rewards may be shifted: only if no episode has ever terminated."""


class Method(ABC):
    """Fits to choices, improves a policy, and scores steps for the query scheme.

    Attributes:
        agent: Learns the policy.
        version: How often it has been fitted.
    """

    agent: Agent
    version: int

    @abstractmethod
    def begin(self, lately: Lately) -> None:
        """Process the warm-up's steps, before the first query."""

    @abstractmethod
    def fit(self, choices: Sequence[Choice], lately: Lately) -> RewardFit:
        """Fit to all choices so far, those of every current answer."""

    @abstractmethod
    def improve(self, steps: int, lately: Lately) -> None:
        """Train the policy for a number of environment steps."""

    @abstractmethod
    def step_scores(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """Score each step by each member, shape (M, S); a segment's score is the sum over its lived steps."""

    @property
    def scores_by_teacher(self) -> Mapping[str, Callable[[Array, Array, Array], Array]] | None:
        """Functions like :meth:`step_scores`, one for the answers of each teacher; None if all fit one reward."""
        return None

    @abstractmethod
    def encode(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """Encode each step as the method's input, shape (S, D)."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the policy and the fitted model, as a run directory holds them."""

    @abstractmethod
    def save_state(self, directory: Path) -> None:
        """Write the whole state, from which training continues exactly."""

    @abstractmethod
    def restore(self, directory: Path) -> None:
        """Restore in place what :meth:`save_state` wrote, or the part of it that :meth:`save` writes."""
