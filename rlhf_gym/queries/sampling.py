"""A uniform sample of the queries that can still be asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, final

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query
from rlhf_gym.queries.candidates import Candidates
from rlhf_gym.segments import Array, Ending, Segment, Trajectory, count_windows


@dataclass(frozen=True, eq=False)
class Groups:
    """All groups of K different windows, in any order, that can still be asked as a query.

    Groups asked before are left out. A window is recognised by its episode's seed and its start, or, where it has no
    seed or several episodes share it, by the content of its first step.

    Args:
        trajectories: Source of the windows.
        length: Steps of a window.
        options: K.
        asked: Queries of the run so far.
        terminated: Whether at least one window has to run into a termination.
    """

    trajectories: Sequence[Trajectory]
    length: int
    options: int = 2
    asked: Sequence[Query] = ()
    terminated: bool = False

    @property
    def count(self) -> int:
        """Number of groups."""
        groups = math.comb(self.windows, self.options)
        if self.terminated:
            groups -= math.comb(self.windows - len(self._ending), self.options)
        return groups - len(self.taken)

    @cached_property
    def windows(self) -> int:
        """Number of windows."""
        return int(self._counts.sum())

    @cached_property
    def taken(self) -> Array:
        """Groups asked before that could be drawn again, as ascending window numbers, shape (A, K)."""
        numbers = [self._numbers(query) for query in self.asked if len(query.options) == self.options]
        there = [sorted(group) for group in numbers if len(group) == self.options]
        taken = np.unique(np.array(there, np.int64).reshape(-1, self.options), axis=0)
        return taken[np.isin(taken, self._ending).any(axis=1)] if self.terminated else taken

    def may_have(self, query: Query) -> bool:
        """Whether all trajectories that a query's options were cut from are still there."""
        return all(self._place(option) is not None for option in query.options)

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Draw `n` groups, at most `count`, each in random order; shape (n, K).

        All groups are equally likely, except that with `terminated` those with several such windows come more often.
        """
        if self.terminated:
            return rng.permuted(_rejecting(self._ending_groups, n, rng, self.taken), axis=1)
        if self.options == 2:
            return _pairs(self.windows, n, rng, self.taken)
        return _rejecting(lambda n, rng: rng.integers(self.windows, size=(n, self.options)), n, rng, self.taken)

    def _ending_groups(self, n: int, rng: np.random.Generator) -> Array:
        others = rng.integers(self.windows, size=(n, self.options - 1))
        return np.column_stack([rng.choice(self._ending, size=n), others])

    @cached_property
    def _counts(self) -> Array:
        return count_windows(self.trajectories, self.length)

    @cached_property
    def _starts(self) -> Array:
        """Number of each trajectory's first window."""
        return np.asarray(np.cumsum(self._counts) - self._counts)

    @cached_property
    def _ending(self) -> Array:
        """Numbers of the windows that run into a termination."""
        ended = [i for i, t in enumerate(self.trajectories) if t.ending is Ending.TERMINATED]
        after = self._starts + self._counts
        numbers = [np.arange(max(self._starts[i], after[i] - self.length), after[i]) for i in ended]
        return np.concatenate([np.zeros(0, np.int64), *numbers])

    def _numbers(self, query: Query) -> set[int]:
        """Find the numbers of the windows that a query's options were cut from; empty unless all are still there."""
        numbers: set[int] = set()
        for option in query.options:
            i = self._place(option)
            if i is None or option.length != self.length or option.start >= self._counts[i]:
                return set()  # an option is gone, as in most queries of a long run
            numbers.add(int(self._starts[i]) + option.start)
        return numbers

    def _place(self, option: Segment) -> int | None:
        """Find the trajectory that an option was cut from; None if it isn't there."""
        alike = self._by_seed.get(option.origin.seed, []) if option.origin else None
        if alike is not None and len(alike) < 2:
            return alike[0] if alike else None
        return self._observed(option.start).get(_step(option, 0))

    @cached_property
    def _by_seed(self) -> Mapping[int, list[int]]:
        """Indices of the trajectories with each seed."""
        found: dict[int, list[int]] = {}
        for i, trajectory in enumerate(self.trajectories):
            if trajectory.origin:
                found.setdefault(trajectory.origin.seed, []).append(i)
        return found

    @cached_property
    def _observed(self) -> Callable[[int], Mapping[bytes, int]]:
        """Function from a start to the index of the trajectory with a window there, by the content of that step."""

        def observed(start: int) -> Mapping[bytes, int]:
            return {_step(t, start): i for i, t in enumerate(self.trajectories) if start < self._counts[i]}

        return cache(observed)


def _step(of: Trajectory | Segment, number: int) -> bytes:
    """Return the bytes of a step: observation, next observation and action."""
    arrays = of.observations[number : number + 2], of.actions[number]
    return b"".join(np.asarray(array).tobytes() for array in arrays)


def count_queries(trajectories: Sequence[Trajectory], length: int, options: int = 2, **which: Any) -> int:
    """Count the different queries of K options that :func:`sample_candidates` could draw, in any order.

    Args:
        trajectories: Source of the segments.
        length: Steps of a segment.
        options: K.
        **which: `asked` and `terminated`, as :class:`Groups` takes them.
    """
    return Groups(trajectories, length, options, **which).count


def sample_candidates(
    trajectories: Sequence[Trajectory],
    *,
    length: int,
    n: int,
    rng: np.random.Generator,
    options: int = 2,
    asked: Sequence[Query] = (),
    terminated: bool = False,
    **how: Any,
) -> Candidates:
    """Draw `n` queries of K different windows uniformly, no two with the same windows in any order.

    Args:
        trajectories: Source of the segments.
        length: Steps of a segment.
        n: How many queries.
        rng: Source of the draw and of the queries' ids.
        options: K.
        asked: Queries of the run so far, which aren't drawn again.
        terminated: Whether at least one option has to run into a termination.
        **how: `kind`, `step_scores` and `encode`, as :class:`Candidates` takes them.

    Raises:
        BadInput: If there are fewer than `n` such queries.
    """
    return candidates_of(Groups(trajectories, length, options, asked, terminated), n, rng, **how)


@final
class AskedBefore:
    """Tracks the asked queries whose windows could be drawn again; most that a long run has asked are gone."""

    def __init__(self) -> None:
        self._seen, self._there = 0, list[Query]()

    def there(self, asked: Sequence[Query], trajectories: Sequence[Trajectory], length: int) -> list[Query]:
        """Find the queries whose windows could be drawn again.

        Args:
            asked: Queries of the run so far: those of the last call, then newer ones.
            trajectories: Source of the queries; one missing at the last call must not come back.
            length: Steps of a segment.
        """
        groups = Groups(trajectories, length)
        self._there = [query for query in [*self._there, *asked[self._seen :]] if groups.may_have(query)]
        self._seen = len(asked)
        return list(self._there)


def candidates_of(
    groups: Groups, n: int, rng: np.random.Generator, *, asked: Sequence[Query] | None = None, **how: Any
) -> Candidates:
    """Draw `n` groups as candidates, as :func:`sample_candidates` does.

    Args:
        groups: Groups to draw from.
        n: Number of groups.
        rng: Source of the draw and of the queries' ids.
        asked: All queries of the run so far; None takes those that the groups leave out.
        **how: Further arguments of :class:`Candidates`.
    """
    if n > groups.count:
        what = "pairs" if groups.options == 2 else f"groups of {groups.options}"
        before = f" that weren't asked before ({len(groups.taken)} were)" if len(groups.taken) else ""
        raise BadInput(
            f"{n} queries were to be asked at once, but {groups.windows} segments of segment_length {groups.length} "
            f"make {groups.count} {what}{before}; use fewer labels, more query.rounds, or more query.warm_up_steps"
        )
    drawn = groups.draw(n, rng)
    drawn_ids = rng.bytes(16 * n)
    ids = [drawn_ids[i : i + 16].hex() for i in range(0, 16 * n, 16)]
    return Candidates(
        groups.trajectories, groups.length, drawn, ids, asked=groups.asked if asked is None else asked, **how
    )


def _pairs(windows: int, n: int, rng: np.random.Generator, taken: Array) -> Array:
    """Draw different pairs that aren't taken, shape (n, 2)."""
    numbers = _without(windows * (windows - 1) // 2, n, rng, taken[:, 1] * (taken[:, 1] - 1) // 2 + taken[:, 0])
    # Pair k of the triangle 0 <= j < i has the largest i with i(i-1)/2 <= k; rounding can put i off by one.
    i = ((1 + np.sqrt(1 + 8 * numbers)) / 2).astype(np.int64)
    i -= i * (i - 1) // 2 > numbers
    i += i * (i + 1) // 2 <= numbers
    j = numbers - i * (i - 1) // 2
    swap = rng.random(n) < 0.5  # or the later window would always be on the same side
    return np.stack([np.where(swap, i, j), np.where(swap, j, i)], axis=1)


def _without(population: int, n: int, rng: np.random.Generator, taken: Array) -> Array:
    """Draw different numbers below `population` that aren't taken, uniformly, shape (n,)."""
    numbers = rng.choice(population, size=n, replace=False)
    hits = np.isin(numbers, taken)
    if hits.any():
        gone = np.union1d(numbers, taken)
        free = rng.choice(population - len(gone), size=int(hits.sum()), replace=False)
        numbers[hits] = free + np.searchsorted(gone - np.arange(len(gone)), free, side="right")
    return numbers


def _rejecting(
    draw: Callable[[int, np.random.Generator], Array], n: int, rng: np.random.Generator, taken: Array
) -> Array:
    """Draw rows of different numbers, none of them taken or equal to another row in any order, shape (n, K)."""
    rows = draw(n, rng)
    while (again := _again(rows, taken)).any():
        rows[again] = draw(int(again.sum()), rng)
    return rows


def _again(rows: Array, taken: Array) -> Array:
    """Mark the rows that repeat a number, or have the numbers of an earlier row or a taken one; bool, shape (n,)."""
    ascending = np.sort(rows, axis=1)
    _, first = np.unique(np.concatenate([taken, ascending]), axis=0, return_index=True)
    new = np.isin(np.arange(len(taken), len(taken) + len(rows)), first)
    return np.asarray(~new | (np.diff(ascending, axis=1) == 0).any(axis=1))
