"""Values that a teacher gives to segments: the true return, or a goal's."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Query, Said
from rlhf_gym.segments import Array, Segment
from rlhf_gym.teachers.goals import Goal, NotFinite, finite, goal_rewards

LATELY = 200
"""Number of recent segments that a teacher compares a single segment with."""
Values = Callable[[Sequence[Segment]], Array]
"""A function of N segments, at least one, that returns what each is worth, shape (N,)."""


def true_returns(segments: Sequence[Segment]) -> Array:
    """Sum the environment's rewards over the lived steps of each segment, undiscounted and exact.

    Rewards are converted to double precision, and their exact sum is rounded once, so neither the order of the steps
    nor the other segments matter.

    Args:
        segments: N of them, at least one.

    Returns:
        Shape (N,).

    Raises:
        NotFinite: If a reward is NaN or infinite; it names the step.
    """
    return sums(segments, _step_rewards(segments, None))


def goal_returns(goal: Goal) -> Values:
    """Sum a goal's rewards in the same way.

    Args:
        goal: Called once for all steps of all segments.

    Returns:
        A function that raises NotFinite as :func:`true_returns` does, and ValueError if the goal returns something
        other than one reward per step.
    """
    return lambda segments: sums(segments, _step_rewards(segments, goal))


def recent_returns(goal: Goal | None, gamma: float) -> Values:
    """Sum rewards so that the last steps weigh most: gamma^(H - t) r_t over t = 1 to H (Lee et al. 2021, B-Pref).

    Args:
        goal: Goal that gives the rewards; None is the environment.
        gamma: Weight of a step relative to the next one.
    """

    def returns(segments: Sequence[Segment]) -> Array:
        weights = [gamma ** np.arange(s.length - 1, s.length - 1 - s.lived, -1.0) for s in segments]
        return sums(segments, _step_rewards(segments, goal) * np.concatenate(weights))

    return returns


def worths(values: Values, queries: Sequence[Query]) -> list[Array]:
    """Compute the values of the segments that the answer to each query depends on, shapes (K,).

    These are its options, unless its kind says otherwise (:class:`rlhf_gym.kinds.Kind`).

    Raises:
        BadInput: If a reward or a value is NaN or infinite (the message names it), or there isn't one for each segment.
    """
    if not queries:
        return []
    weighed = [find_kind(query.kind).weighed(query) for query in queries]
    names = [
        _name(query, place, len(of)) for query, of in zip(queries, weighed, strict=True) for place in range(len(of))
    ]
    try:
        worth = np.asarray(values([segment for of in weighed for segment in of]))
    except NotFinite as error:
        raise BadInput(error.told(names[error.segment])) from error
    if worth.shape != (len(names),) or worth.dtype.kind not in "biuf":
        raise BadInput(
            f"values returned {worth.dtype} of shape {worth.shape} for {len(names)} segments; expected one real "
            f"number per segment, shape ({len(names)},)"
        )
    if (bad := np.flatnonzero(~np.isfinite(worth))).size:
        raise BadInput(
            f"values returned {worth[bad[0]]} for {names[bad[0]]}; worth must be finite, or it can't be compared: "
            "mend what computes it"
        )
    return np.split(worth, np.cumsum([len(of) for of in weighed])[:-1])


class Seen:
    """Values of recent segments, for a teacher who judges single segments against them.

    Args:
        most: Number of segments remembered.
    """

    def __init__(self, most: int = LATELY) -> None:
        self._worth: deque[float] = deque(maxlen=most)

    @property
    def state(self) -> list[float]:
        """Remembered values, the oldest first, for :meth:`restore`."""
        return list(self._worth)

    def restore(self, state: Sequence[float]) -> None:
        """Replace the remembered values."""
        self._worth.clear()
        self._worth.extend(state)

    def place(self, worth: float) -> float:
        """Remember a value, and return the share of those remembered below it, plus half the share equal to it."""
        self._worth.append(worth)
        seen = np.array(self._worth)
        return float((seen < worth).mean() + (seen == worth).mean() / 2)


def said(query: Query, worth: Array, seen: Seen) -> Said:
    """Return the answer of a teacher without errors.

    Args:
        query: The query.
        worth: Values of the segments that the answer depends on, shape (K,).
        seen: Values that the teacher has seen before; that of a segment judged by itself is added.

    Raises:
        BadInput: If the answer is a segment that the teacher has to make.
    """
    kind = find_kind(query.kind)
    return kind.said([seen.place(float(worth[0]))] if kind.alone else worth.tolist())


def _name(query: Query, place: int, weighed: int) -> str:
    option = query.names[place] if weighed == len(query.options) else f"{place + 1}. part of the"
    return f"the {option} segment of query {query.id!r}"


def _step_rewards(segments: Sequence[Segment], goal: Goal | None) -> Array:
    """Concatenate the rewards of the lived steps of all segments."""
    with steps_named(segments):
        if goal is None:
            return finite(np.concatenate([s.rewards for s in segments]), "the environment gives")
        observations = np.concatenate([segment.observations[:-1] for segment in segments])
        actions = np.concatenate([segment.actions for segment in segments])
        next_observations = np.concatenate([segment.observations[1:] for segment in segments])
        return goal_rewards(goal, observations, actions, next_observations)


def sums(segments: Sequence[Segment], rewards: Array) -> Array:
    """Sum rewards over the lived steps of each segment, exactly and rounded once; infinite if that overflows.

    Args:
        segments: N of them, at least one.
        rewards: Rewards of the lived steps of all segments, concatenated.

    Returns:
        Shape (N,).
    """
    ends = np.cumsum([segment.lived for segment in segments])
    return np.array([_sum(part.tolist()) for part in np.split(rewards, ends[:-1])])


def _sum(numbers: list[float]) -> float:
    try:
        return math.fsum(numbers)
    except OverflowError:
        return math.copysign(math.inf, math.fsum(number / len(numbers) for number in numbers))


@contextmanager
def steps_named(segments: Sequence[Segment]) -> Iterator[None]:
    """Add the segment to a NotFinite that is raised for a step among the concatenated lived steps of segments."""
    try:
        yield
    except NotFinite as error:
        ends = np.cumsum([segment.lived for segment in segments])
        number = int(np.searchsorted(ends, error.step, side="right"))
        within = int(error.step - (ends[number] - segments[number].lived))
        raise NotFinite(error.gives, within, segment=number) from error
