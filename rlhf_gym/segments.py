"""Trajectories, segments, and the windows that segments are cut from.

Letters used for array shapes everywhere in the package: N queries or segments, T steps per segment, L steps of one
episode, M ensemble members, S steps in a flat batch; ``*obs`` and ``*act`` are the shapes of one observation
and action.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlhf_gym.errors import BadInput

Array = NDArray[Any]
RewardFunction = Callable[[Array, Array, Array, Array], Array]
"""(observations (S, *obs), actions (S, *act), next observations (S, *obs), terminated (S,)) -> rewards (S,)."""


class Ending(Enum):
    """The reason why the steps of a trajectory stop."""

    TERMINATED = "terminated"  # the environment's own end: an absorbing state that pays nothing follows
    TRUNCATED = "truncated"  # a time limit: what would have followed is unknown
    UNFINISHED = "unfinished"  # the episode was still running when it was recorded


@dataclass(frozen=True)
class Origin:
    """How to start an episode again, exactly: which environment, and the seed of its reset."""

    env_id: str
    seed: int
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    fixed_horizon: int | None = None


def _own(array: Array) -> Array:
    """Make a read-only copy: a view would keep the whole episode alive, and a writable one could be changed."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _check_steps(observations: Array, actions: Array, rewards: Array, what: str) -> None:
    steps = len(actions)
    if steps < 1 or len(observations) != steps + 1 or rewards.shape != (steps,):
        raise BadInput(
            f"a {what} of {steps} actions came with {len(observations)} observations and rewards of shape "
            f"{rewards.shape}; expected at least 1 action, one observation more than actions, one reward an action"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    """The arrays of one episode, or of its beginning.

    Args:
        observations: Raw observations, the one after the last step included, shape (L + 1, *obs).
        actions: Shape (L, *act).
        rewards: True rewards, shape (L,).
        ending: Why the steps stop.
        origin: How to start the episode again; None if it can't be.

    Raises:
        BadInput: If the lengths don't match.
    """

    observations: Array
    actions: Array
    rewards: Array
    ending: Ending
    origin: Origin | None = None

    def __post_init__(self) -> None:
        _check_steps(self.observations, self.actions, self.rewards, "trajectory")

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def true_return(self) -> float:
        """Sum of the environment's own rewards."""
        return float(self.rewards.sum())

    @property
    def terminated(self) -> bool:
        """Whether the last step ended the episode for good."""
        return self.ending is Ending.TERMINATED

    def windows(self, length: int) -> int:
        """Count the segments of `length` steps that can be cut (see :func:`sample_segments` for the rule)."""
        if self.ending is Ending.TERMINATED:
            return len(self)
        whole = min(max(0, len(self) - length + 1), self.settled + 1)
        return max(whole, 1) if self.ending is Ending.TRUNCATED else whole

    @property
    def settled(self) -> int:
        """First step from which the observation never changes again, as after a failure in fixed horizon.

        The number of steps where it never changes at all, since then it says nothing about failures.
        """
        changed = (self.observations[1:] != self.observations[:-1]).reshape(len(self), -1).any(axis=1)
        return int(np.flatnonzero(changed)[-1]) + 1 if changed.any() else len(self)

    def cut(self, start: int, length: int) -> Segment:
        """Cut the segment that starts at step `start` and nominally lasts `length` steps."""
        end = min(start + length, len(self))
        return Segment(
            observations=_own(self.observations[start : end + 1]),
            actions=_own(self.actions[start:end]),
            rewards=_own(self.rewards[start:end]),
            length=length,
            terminated=end == len(self) and self.ending is Ending.TERMINATED,
            earlier_actions=_own(self.actions[:start]),
            origin=self.origin,
        )

    def __repr__(self) -> str:
        return f"Trajectory({len(self)} steps, {self.ending.value}, true_return={self.true_return:.4g})"


@dataclass(frozen=True, eq=False, repr=False)
class Segment:
    """A slice of one episode: one option of a query.

    Only lived steps are stored. Steps after a termination exist as padding alone: they carry weight 0 in the learned
    return as they carry reward 0 in the true one (:func:`pad`).

    Args:
        observations: Raw observations of the lived steps, shape (lived + 1, *obs).
        actions: Shape (lived, *act).
        rewards: True rewards, shape (lived,).
        length: Nominal number of steps T, the same for every segment of a run.
        terminated: Whether the last lived step ended the episode for good.
        earlier_actions: Actions of the same episode before the segment, shape (start, *act); with `origin` the recipe
            from which the segment can be simulated and drawn again.
        origin: How to start the episode again; None if it can't be.

    Raises:
        BadInput: If the lengths don't match.
    """

    observations: Array
    actions: Array
    rewards: Array
    length: int
    terminated: bool
    earlier_actions: Array
    origin: Origin | None = None

    def __post_init__(self) -> None:
        _check_steps(self.observations, self.actions, self.rewards, "segment")
        if self.lived > self.length:
            raise BadInput(f"a segment of length {self.length} came with {self.lived} steps; use length >= steps")

    @property
    def lived(self) -> int:
        """Number of steps that happened, at most `length`."""
        return len(self.actions)

    @property
    def start(self) -> int:
        """Step of the episode at which the segment begins."""
        return len(self.earlier_actions)

    @property
    def true_return(self) -> float:
        """Undiscounted sum of the true rewards of the lived steps."""
        return float(self.rewards.sum())

    def __repr__(self) -> str:
        lived = f"lived {self.lived} of {self.length} from step {self.start}"
        return f"Segment({lived}, obs {self.observations.shape[1:]}{', terminated' if self.terminated else ''})"


@dataclass(frozen=True, eq=False)
class Steps:
    """Many segments as rectangular arrays, padded after termination.

    Args:
        observations: Shape (N, T, *obs).
        actions: Shape (N, T, *act).
        next_observations: Shape (N, T, *obs).
        terminated: Whether the step ended its episode for good, shape (N, T).
        weights: 1 for a lived step, 0 for padding, shape (N, T).
    """

    observations: Array
    actions: Array
    next_observations: Array
    terminated: Array
    weights: Array


def pad(segments: Sequence[Segment]) -> Steps:
    """Stack N segments of nominal length T, in a dtype that holds all of them; padding repeats zeros and weighs 0."""
    if not segments:
        raise BadInput("got no segments; expected at least one")
    n, length, first = len(segments), segments[0].length, segments[0]
    # Imported segments may have other dtypes than a run's own.
    observed, acted = {s.observations.dtype for s in segments}, {s.actions.dtype for s in segments}
    observations = np.zeros((n, length, *first.observations.shape[1:]), np.result_type(*observed))
    next_observations = np.zeros_like(observations)
    actions = np.zeros((n, length, *first.actions.shape[1:]), np.result_type(*acted))
    lived = np.array([segment.lived for segment in segments])
    for i, segment in enumerate(segments):
        observations[i, : lived[i]] = segment.observations[:-1]
        next_observations[i, : lived[i]] = segment.observations[1:]
        actions[i, : lived[i]] = segment.actions
    terminated = np.zeros((n, length), bool)
    terminated[np.arange(n), lived - 1] = [segment.terminated for segment in segments]
    weights = (np.arange(length) < lived[:, None]).astype(np.float32)
    return Steps(observations, actions, next_observations, terminated, weights)


def count_windows(trajectories: Sequence[Trajectory], length: int) -> Array:
    """Count the segments of `length` steps in each trajectory.

    A window never crosses from one episode into the next. Before a termination it may start anywhere, so that endings
    are seen as often as they happen. Before a truncation it must fit, except that an episode which is shorter than
    `length` as a whole gives one window of its own length instead of being dropped. A final stretch in which
    nothing moves gives one window, not one for each of its steps, or most queries would be about absorbing states.

    Raises:
        BadInput: If no segment can be cut at all.
    """
    counts = np.array([trajectory.windows(length) for trajectory in trajectories], dtype=np.int64)
    if counts.sum() == 0:
        longest = max((len(trajectory) for trajectory in trajectories), default=0)
        raise BadInput(
            f"segment_length is {length} but the longest stretch of an episode seen so far has {longest} steps; use "
            f"segment_length <= {max(longest, 1)} or watch more steps: query.warm_up_steps >= {length} x agent.n_envs"
        )
    return counts


def cut_windows(trajectories: Sequence[Trajectory], counts: Array, numbers: Array, length: int) -> list[Segment]:
    """Cut the segments with the given numbers, which count all windows of all trajectories."""
    ends = np.cumsum(counts)
    episodes = np.searchsorted(ends, numbers, side="right")
    starts = numbers - (ends[episodes] - counts[episodes])
    return [trajectories[e].cut(int(s), length) for e, s in zip(episodes, starts, strict=True)]


def sample_segments(
    trajectories: Sequence[Trajectory], *, length: int, n: int, rng: np.random.Generator
) -> list[Segment]:
    """Draw `n` different windows uniformly, short episodes included (rule: :func:`count_windows`).

    Raises:
        BadInput: If there are fewer than `n` windows.
    """
    counts = count_windows(trajectories, length)
    if n > counts.sum():
        raise BadInput(f"n is {n} but only {counts.sum()} segments can be cut; use a smaller n or watch more steps")
    return cut_windows(trajectories, counts, rng.choice(int(counts.sum()), size=n, replace=False), length)
