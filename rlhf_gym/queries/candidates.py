"""Candidates: the queries that could be asked, and their learned returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import softmax

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Array, Trajectory, count_windows, cut_windows

StepScores = Callable[[Array, Array, Array], Array]
"""Observations (S, *obs), actions (S, *act) and next observations (S, *obs) -> each member's score of each step,
shape (M, S); a segment's score is the sum over its lived steps."""
Encode = Callable[[Array, Array, Array], Array]
"""The same arrays -> what the reward model sees of each step, shape (S, D)."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """N queries of K options that could be asked, none of them cut out yet.

    Args:
        trajectories: Where the options are.
        length: Steps of a segment.
        windows: Number of each option among all windows of the trajectories, shape (N, K).
        ids: Of the queries.
        kind: Of feedback.
        step_scores: What each member of the reward model gives a step; None before there is one.
        encode: What the reward model sees of a step; None leaves flattened observations.
    """

    trajectories: Sequence[Trajectory]
    length: int
    windows: Array
    ids: Sequence[str]
    kind: str = "comparison"
    step_scores: StepScores | None = None
    encode: Encode | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, indices: Sequence[int] | Array) -> Candidates:
        """Select some of them."""
        ids = [self.ids[i] for i in indices]
        where = (self.trajectories, self.length, self.windows[np.asarray(indices, np.int64)], ids)
        return Candidates(*where, self.kind, self.step_scores, self.encode)

    def queries(self) -> list[Query]:
        """Cut out the segments, and make queries of the candidates."""
        options = cut_windows(self.trajectories, self._counts, self.windows.reshape(-1), self.length)
        k = self.windows.shape[1]
        return [Query(tuple(options[k * n : k * (n + 1)]), id=id_, kind=self.kind) for n, id_ in enumerate(self.ids)]

    @cached_property
    def scores(self) -> Array:
        """Learned return of each option by each member, shape (M, N, K).

        Raises:
            BadInput: If there is no reward model yet.
        """
        if self.step_scores is None:
            raise BadInput("candidates have no scores before the first fit; use the uniform scheme until then")
        return np.stack([self._sums(member) for member in self.step_scores(*self._steps)])

    @cached_property
    def probabilities(self) -> Array:
        """Each member's probability that an option is the best of its query, shape (M, N, K)."""
        return np.asarray(softmax(self.scores, axis=-1))

    @cached_property
    def features(self) -> Array:
        """Mean of the reward model's inputs over an option's lived steps, shape (N, K, D)."""
        encode = self.encode or (lambda observations, *_: observations.reshape(len(observations), -1))
        sums = np.stack([self._sums(column) for column in encode(*self._steps).T], axis=-1)
        first, end = self._bounds
        return np.asarray(sums / (end - first)[..., None])

    def _sums(self, values: Array) -> Array:
        """Sum per-step values over each option's lived steps, shape (N, K)."""
        totals = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        first, end = self._bounds
        return np.asarray(totals[end] - totals[first])

    @cached_property
    def _steps(self) -> tuple[Array, Array, Array]:
        """Observations, actions and next observations of all trajectories, one after the other."""
        steps = [(t.observations[:-1], t.actions, t.observations[1:]) for t in self.trajectories]
        observations, actions, following = (np.concatenate(arrays) for arrays in zip(*steps, strict=True))
        return observations, actions, following

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
    """Compute each member's probability that an option is the best of its query, shape (M, N, K).

    Args:
        queries: N of them, at least one.
        step_scores: What each member of the reward model gives a step.
    """
    segments = [segment for query in queries for segment in query.options]
    observations, actions, following = (
        np.concatenate(arrays)
        for arrays in zip(*((s.observations[:-1], s.actions, s.observations[1:]) for s in segments), strict=True)
    )
    starts = np.cumsum([0, *(segment.lived for segment in segments[:-1])])
    sums = np.add.reduceat(step_scores(observations, actions, following), starts, axis=1)
    return np.asarray(softmax(sums.reshape(len(sums), len(queries), -1), axis=-1))


def count_queries(trajectories: Sequence[Trajectory], length: int, options: int = 2) -> int:
    """Count the different queries of K options that :func:`sample_candidates` could draw, in any order."""
    return math.comb(int(count_windows(trajectories, length).sum()), options)


def sample_candidates(
    trajectories: Sequence[Trajectory],
    *,
    length: int,
    n: int,
    rng: np.random.Generator,
    options: int = 2,
    kind: str = "comparison",
    step_scores: StepScores | None = None,
    encode: Encode | None = None,
) -> Candidates:
    """Draw `n` queries of K different windows, uniformly; no pair of windows comes twice.

    Args:
        trajectories: Where to cut the segments.
        length: Steps of a segment.
        n: How many queries.
        rng: Source of the draw and of the queries' ids.
        options: K.
        kind: Of feedback.
        step_scores: As :class:`Candidates` takes it.
        encode: Likewise.

    Raises:
        BadInput: If there are fewer than `n` such queries.
    """
    windows = int(count_windows(trajectories, length).sum())
    there = math.comb(windows, options)
    if n > there:
        what = "pairs" if options == 2 else f"groups of {options}"
        raise BadInput(
            f"{n} queries were to be asked at once, but {windows} segments of segment_length {length} make {there} "
            f"{what}; use fewer labels, more query.rounds, or more query.warm_up_steps"
        )
    drawn = _pairs(windows, n, rng) if options == 2 else _groups(windows, n, options, rng)
    drawn_ids = rng.bytes(16 * n)
    ids = [drawn_ids[i : i + 16].hex() for i in range(0, 16 * n, 16)]
    return Candidates(trajectories, length, drawn, ids, kind, step_scores, encode)


def _pairs(windows: int, n: int, rng: np.random.Generator) -> Array:
    """Draw different pairs, shape (n, 2)."""
    numbers = rng.choice(windows * (windows - 1) // 2, size=n, replace=False)
    # Pair k of the triangle 0 <= j < i: i(i-1)/2 <= k. Rounding can put i one off, so it is put right.
    i = ((1 + np.sqrt(1 + 8 * numbers)) / 2).astype(np.int64)
    i -= i * (i - 1) // 2 > numbers
    i += i * (i + 1) // 2 <= numbers
    j = numbers - i * (i - 1) // 2
    swap = rng.random(n) < 0.5  # or the later window would always be on the same side
    return np.stack([np.where(swap, i, j), np.where(swap, j, i)], axis=1)


def _groups(windows: int, n: int, options: int, rng: np.random.Generator) -> Array:
    """Draw rows of different windows, shape (n, K)."""
    drawn = rng.integers(windows, size=(n, options))
    while (twice := (np.diff(np.sort(drawn, axis=1), axis=1) == 0).any(axis=1)).any():
        drawn[twice] = rng.integers(windows, size=(int(twice.sum()), options))
    return drawn
