"""Values of segments to a teacher: the true return, or a goal's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from rlhf_gym.segments import Array, Segment
from rlhf_gym.teachers.goals import Goal, NotFinite, finite, goal_rewards

Values = Callable[[Sequence[Segment]], Array]
"""A function of N segments, at least one, that returns what each is worth, shape (N,)."""


def true_returns(segments: Sequence[Segment]) -> Array:
    """Sum the environment's rewards over the lived steps of each segment, undiscounted and exact.

    Rewards are taken as double precision, and their exact sum is rounded once: neither the order of the steps nor the
    other segments matter.

    Args:
        segments: N of them, at least one.

    Returns:
        Shape (N,).

    Raises:
        NotFinite: If a reward is NaN or infinite; it names the step.
    """
    with _steps_named(segments):
        return _sums(segments, finite(np.concatenate([s.rewards for s in segments]), "the environment gives"))


def goal_returns(goal: Goal) -> Values:
    """Sum a goal's rewards in the same way.

    Args:
        goal: Called once for all steps of all segments.

    Returns:
        A function that raises NotFinite as :func:`true_returns` does, and ValueError if the goal returns something
        other than one reward per step.
    """

    def returns(segments: Sequence[Segment]) -> Array:
        observations = np.concatenate([segment.observations[:-1] for segment in segments])
        actions = np.concatenate([segment.actions for segment in segments])
        next_observations = np.concatenate([segment.observations[1:] for segment in segments])
        with _steps_named(segments):
            return _sums(segments, goal_rewards(goal, observations, actions, next_observations))

    return returns


def _sums(segments: Sequence[Segment], rewards: Array) -> Array:
    ends = np.cumsum([segment.lived for segment in segments])
    return np.array([math.fsum(part.tolist()) for part in np.split(rewards, ends[:-1])])


@contextmanager
def _steps_named(segments: Sequence[Segment]) -> Iterator[None]:
    """Name the segment of a bad reward."""
    try:
        yield
    except NotFinite as error:
        ends = np.cumsum([segment.lived for segment in segments])
        number = int(np.searchsorted(ends, error.step, side="right"))
        within = int(error.step - (ends[number] - segments[number].lived))
        raise NotFinite(error.gives, within, segment=number) from error
