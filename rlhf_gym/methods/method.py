"""What a method is: how answers become a better policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rlhf_gym.agents import Agent
from rlhf_gym.preferences import Choice
from rlhf_gym.rewards import RewardFit
from rlhf_gym.segments import Array, Segment, Trajectory


class Lately(NamedTuple):
    """What the policy did lately."""

    trajectories: Sequence[Trajectory | Segment]
    shift: bool
    """Whether rewards may be shifted: not where an episode has ever terminated."""


class Method(ABC):
    """Fits to choices, improves a policy, and scores steps for the query scheme.

    Attributes:
        agent: Who learns the policy.
        version: How often it has been fitted.
    """

    agent: Agent
    version: int

    @abstractmethod
    def begin(self, lately: Lately) -> None:
        """Take up the warm-up's steps, before anything was asked."""

    @abstractmethod
    def fit(self, choices: Sequence[Choice], lately: Lately) -> RewardFit:
        """Fit to all choices so far, those of every answer that stands."""

    @abstractmethod
    def improve(self, steps: int, lately: Lately) -> None:
        """Train the policy for a number of environment steps."""

    @abstractmethod
    def step_scores(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """Each member's score of each step, shape (M, S); a segment's score is the sum over its lived steps."""

    @abstractmethod
    def encode(self, observations: Array, actions: Array, next_observations: Array) -> Array:
        """What the method sees of each step, shape (S, D)."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write policy and whatever the answers were fitted to, as a run directory holds them."""

    @abstractmethod
    def save_state(self, directory: Path) -> None:
        """Write all that it takes to go on exactly."""

    @abstractmethod
    def restore(self, directory: Path) -> None:
        """Become, in place, what :meth:`save_state` wrote, or, as far as that goes, :meth:`save`."""
