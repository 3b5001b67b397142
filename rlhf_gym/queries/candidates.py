"""Candidates: the queries that could be asked, and their learned returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import softmax

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import HELDOUT, Query
from rlhf_gym.segments import Array, Segment, Trajectory, count_windows, cut_windows

StepScores = Callable[[Array, Array, Array], Array]
"""Observations (S, *obs), actions (S, *act) and next observations (S, *obs) -> each member's score of each step,
shape (M, S); a segment's score is the sum over its lived steps."""
AT_ONCE, NUMBERS_AT_ONCE = 2**13, 2**24  # most steps, and most numbers observed in them, copied at a time
Encode = Callable[[Array, Array, Array], Array]
"""The same arrays -> the reward model's inputs of each step, shape (S, D)."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """N queries of K options that could be asked, whose segments aren't cut yet.

    Args:
        trajectories: Source of the options.
        length: Steps of a segment.
        windows: Number of each option among all windows of the trajectories, shape (N, K).
        ids: Ids of the queries.
        kind: Kind of feedback.
        step_scores: Scores steps by each member of the reward model; None before there is one.
        encode: Computes the reward model's inputs of steps; None takes flattened observations.
        asked: Queries of the run so far.
    """

    trajectories: Sequence[Trajectory]
    length: int
    windows: Array
    ids: Sequence[str]
    kind: str = "comparison"
    step_scores: StepScores | None = None
    encode: Encode | None = None
    asked: Sequence[Query] = ()

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, indices: Sequence[int] | Array) -> Candidates:
        """Select candidates by index."""
        return replace(self, windows=self.windows[np.asarray(indices, np.int64)], ids=[self.ids[i] for i in indices])

    def queries(self) -> list[Query]:
        """Cut out the segments, and make queries of the candidates."""
        options = cut_windows(self.trajectories, self._counts, self.windows.reshape(-1), self.length)
        k = self.windows.shape[1]
        return [Query(tuple(options[k * n : k * (n + 1)]), id=id_, kind=self.kind) for n, id_ in enumerate(self.ids)]

    @cached_property
    def scores(self) -> Array:
        """Learned return of each option by each member, shape (M, N, K).

        If K is 1, each option gets the mean of all candidates as a rival, because nothing could be uncertain otherwise;
        the shape is then (M, N, 2).

        Raises:
            BadInput: If there is no reward model yet.
        """
        return with_rival(np.stack([self._sums(member) for member in self._step_scores]))

    def values(self, gamma: float) -> Array:
        """Compute each member's discounted return from an option's start to the last recorded step of its episode.

        Args:
            gamma: Discount of a step, from 0 to 1.

        Returns:
            Shape (M, N, K), or (M, N, 2) if K is 1, as in :attr:`scores`.

        Raises:
            BadInput: If there is no reward model yet.
        """
        lengths = [len(trajectory) for trajectory in self.trajectories]
        return with_rival(np.asarray(discounted(self._step_scores, lengths, gamma)[:, self._bounds[0]]))

    @cached_property
    def probabilities(self) -> Array:
        """Each member's probability that an option is the best of its query, shaped like :attr:`scores`."""
        return np.asarray(softmax(self.scores, axis=-1))

    @cached_property
    def features(self) -> Array:
        """Mean of the reward model's inputs over an option's lived steps, shape (N, K, D).

        Raises:
            BadInput: If the reward model has no inputs.
        """
        sums = np.stack([self._sums(column) for column in self._encoded(*self._steps).T], axis=-1)
        first, end = self._bounds
        return np.asarray(sums / (end - first)[..., None])

    @cached_property
    def asked_features(self) -> Array:
        """Features likewise of the options asked so far, shape (A, K, D).

        Held-out queries, to which nothing is fitted, and queries with another number of options are left out.

        Raises:
            BadInput: If the reward model has no inputs.
        """
        k = self.windows.shape[1]
        fitted = [query for query in self.asked if query.why != HELDOUT and len(query.options) == k]
        segments = [segment for query in fitted for segment in query.options]
        if not segments:
            return np.zeros((0, *self.features.shape[1:]))
        sums, lived = _summed(self._encoded(*_all_steps(segments)).T, segments)
        return np.asarray((sums / lived).T.reshape(len(fitted), k, -1))

    def _encoded(self, observations: Array, actions: Array, following: Array) -> Array:
        """Compute the reward model's inputs of each step, shape (S, D)."""
        encode = self.encode or (lambda observations, *_: observations.reshape(len(observations), -1))
        seen = encode(observations, actions, following)
        if seen.ndim != 2 or not seen.shape[1]:
            raise BadInput(
                f"candidates have no features: the reward model's inputs have shape {seen.shape}; expected (steps, "
                "inputs), or use a query.scheme that needs none, such as disagreement"
            )
        return seen

    @cached_property
    def _step_scores(self) -> Array:
        """Score of every recorded step by each member, shape (M, S)."""
        if self.step_scores is None:
            raise BadInput("candidates have no scores before the first fit; use the uniform scheme until then")
        return _scores(self.step_scores, self.trajectories)

    def _sums(self, values: Array) -> Array:
        """Sum per-step values over each option's lived steps, shape (N, K)."""
        totals = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        first, end = self._bounds
        return np.asarray(totals[end] - totals[first])

    @cached_property
    def _steps(self) -> tuple[Array, Array, Array]:
        """Observations, actions and next observations of all trajectories, one after the other."""
        return _all_steps(self.trajectories)

    @cached_property
    def _counts(self) -> Array:
        return count_windows(self.trajectories, self.length)

    @cached_property
    def _bounds(self) -> tuple[Array, Array]:
        """First lived step of each option and the one after its last, counted over all trajectories."""
        ends = np.cumsum(self._counts)
        episode = np.searchsorted(ends, self.windows, side="right")
        borders = np.cumsum([0, *(len(trajectory) for trajectory in self.trajectories)])
        first = borders[episode] + self.windows - (ends - self._counts)[episode]
        return first, np.minimum(first + self.length, borders[episode + 1])


def probabilities_of(queries: Sequence[Query], step_scores: StepScores) -> Array:
    """Compute each member's probability that an option is the best of its query, as :class:`Candidates` does.

    Args:
        queries: At least one query, all with the same number of options.
        step_scores: Scores steps by each member of the reward model.
    """
    returns = returns_of(queries, step_scores)
    return np.asarray(softmax(with_rival(returns.reshape(len(returns), len(queries), -1)), axis=-1))


def with_rival(scores: Array) -> Array:
    """Add the mean of all options as a rival if scores have shape (M, N, 1), which makes them (M, N, 2)."""
    if scores.shape[-1] > 1:
        return scores
    return np.concatenate([scores, np.broadcast_to(scores.mean(axis=1, keepdims=True), scores.shape)], axis=-1)


def returns_of(queries: Sequence[Query], step_scores: StepScores) -> Array:
    """Compute each member's learned return of every option, query by query, shape (M, total number of options)."""
    segments = [segment for query in queries for segment in query.options]
    return _summed(_scores(step_scores, segments), segments)[0]


def discounted(values: Array, lengths: Sequence[int], gamma: float) -> Array:
    """Sum per-step values from each step to the end of its trajectory, discounted.

    Args:
        values: Values of all steps, trajectory by trajectory, shape (M, S).
        lengths: Steps of each trajectory, summing to S.
        gamma: Discount of a step.

    Returns:
        Shape (M, S).
    """
    steps, ends = np.arange(values.shape[1]), np.repeat(np.cumsum(lengths), lengths)
    sums, span = values.astype(np.float64), 1
    while span < max(lengths):  # each pass doubles the span of the sums
        later = steps + span
        inside = later < ends
        sums += np.where(inside, gamma**span * sums[:, np.where(inside, later, 0)], 0.0)
        span *= 2
    return np.asarray(sums)


def _scores(step_scores: StepScores, pieces: Sequence[Trajectory | Segment]) -> Array:
    """Score every step of all pieces, piece by piece, shape (M, S), copying a bounded number of steps at a time."""
    parts = (_joined(part) for part in _parts(pieces))
    return np.concatenate([np.asarray(step_scores(*part)) for part in parts], axis=1)


def _parts(pieces: Sequence[Trajectory | Segment]) -> Iterator[list[tuple[Array, Array, Array]]]:
    """Divide the steps of all pieces, in order, into parts of equal size; the last may be smaller."""
    most = max(1, min(AT_ONCE, NUMBERS_AT_ONCE // max(1, pieces[0].observations[0].size)))
    part: list[tuple[Array, Array, Array]] = []
    room = most
    for piece in pieces:
        start, end = 0, len(piece.actions)
        while start < end:
            until = min(end, start + room)
            part.append(
                (piece.observations[start:until], piece.actions[start:until], piece.observations[start + 1 : until + 1])
            )
            room, start = room - (until - start), until
            if not room:
                yield part
                part, room = [], most
    if part:
        yield part


def _all_steps(pieces: Sequence[Trajectory | Segment]) -> tuple[Array, Array, Array]:
    """Observations, actions and next observations of all pieces, one after the other."""
    return _joined([(piece.observations[:-1], piece.actions, piece.observations[1:]) for piece in pieces])


def _joined(steps: Sequence[tuple[Array, Array, Array]]) -> tuple[Array, Array, Array]:
    observations, actions, following = (np.concatenate(arrays) for arrays in zip(*steps, strict=True))
    return observations, actions, following


def _summed(values: Array, segments: Sequence[Segment]) -> tuple[Array, Array]:
    """Sum per-step values, shape (M, S), over each segment; return also the number of steps that each lived."""
    lived = np.array([segment.lived for segment in segments])
    return np.add.reduceat(values, np.cumsum(lived) - lived, axis=1), lived
