"""Ranked lists of segments, rebuilt from the answers to comparisons alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from rlhf_gym.preferences import MARK, Answer, Preference, Query, content
from rlhf_gym.segments import Array, Segment

INSERTION = "insertion"
"""Reason for asking (`Query.why`) a comparison that places a segment in a list; its id begins with the list's name."""
NAME_BYTES = 8  # of the list's name in an id; as many more identify the query


def list_name(query: Query) -> str:
    """Return the name of a query's list, the run's mark included."""
    return named(query.id)


def named(id_: str, drawn: str = "") -> str:
    """Keep the list's name and the run's mark of a query's id, and put `drawn` between them."""
    head, at, run = id_.partition(MARK)
    return f"{head[: 2 * NAME_BYTES]}{drawn}{at}{run}"


class Next(NamedTuple):
    """The next comparison, as indices of segments."""

    segment: int
    """The segment to place."""
    against: int
    """The placed segment to compare it with."""


@dataclass(frozen=True, eq=False)
class RankedList:
    """The known order of m segments, from answers directly or by transitivity.

    Answers that contradict each other in a cycle, as after one was changed, imply nothing about pairs of the segments
    in that cycle.

    Args:
        name: Name of the list.
        segments: Segments in the order of their first answers.
        better: Whether segment i is known to be better than j, bool, shape (m, m).
        tied: Whether both are known to be equally good, bool, shape (m, m); also i = j, unless i is in a cycle.
        answered: Whether somebody compared them, bool, shape (m, m).
        skipped: Whether both were shown and every answer was a skip, bool, shape (m, m).
    """

    name: str
    segments: Sequence[Segment]
    better: Array
    tied: Array
    answered: Array
    skipped: Array

    @property
    def asked(self) -> int:
        """Number of comparisons answered or skipped."""
        return int((self.answered | self.skipped).sum()) // 2

    @property
    def implied(self) -> Array:
        """Pairs i < j whose order is known though nobody compared them, shape (P, 2)."""
        return np.argwhere(np.triu(self._known & ~self.answered, 1))

    @cached_property
    def placed(self) -> list[int]:
        """Indices of segments, the worst first, such that the order of every two is known.

        Segments with the most unknown orders are left out first, of equal ones the latest.
        """
        left = np.arange(len(self.segments))
        while (unknown := (~self._known[np.ix_(left, left)]).sum(axis=1)).any():
            left = np.delete(left, len(left) - 1 - int(unknown[::-1].argmax()))
        return sorted(left.tolist(), key=lambda i: int(self.better[i, left].sum()))

    @property
    def next(self) -> Next | None:
        """Find the waiting segment with the fewest possible places, and the middle of these; None if none waits.

        A segment is given up if one of its comparisons was skipped, or contradicts other answers.
        """
        given_up = np.any(self.skipped | self.answered & ~self._known, axis=1)
        waiting = [i for i in range(len(self.segments)) if i not in self.placed and not given_up[i]]
        if not waiting:
            return None
        between = {i: [j for j in self.placed if not self._known[i, j]] for i in waiting}
        nearest = min(waiting, key=lambda i: len(between[i]))
        return Next(nearest, self.middle(between[nearest]))

    def middle(self, among: Sequence[int]) -> int:
        """Return a segment of the middle group of tied ones among the given segments, which are in order."""
        worse = np.array([int(self.better[i, among].sum()) for i in among])
        groups = np.unique(worse)
        return among[int(np.argmax(worse == groups[len(groups) // 2]))]

    @cached_property
    def _known(self) -> Array:
        return np.asarray(self.better | self.better.T | self.tied)


def ranked_lists(preferences: Iterable[Preference]) -> dict[str, RankedList]:
    """Rebuild all lists from the answers, by name, in the order of their first answers."""
    by_list: dict[str, list[Preference]] = defaultdict(list)
    for preference in preferences:
        if preference.query.why == INSERTION:
            by_list[list_name(preference.query)].append(preference)
    return {name: _ranked(name, of_list) for name, of_list in by_list.items()}


def _ranked(name: str, preferences: Sequence[Preference]) -> RankedList:
    """Rebuild one list; where several people answered a comparison, the majority counts."""
    keys = [tuple(map(_key, preference.query.options)) for preference in preferences]
    segments = {
        key: segment
        for of_query, preference in zip(keys, preferences, strict=True)
        for key, segment in zip(of_query, preference.query.options, strict=True)
    }
    number = {key: i for i, key in enumerate(segments)}
    votes = np.zeros((len(number), len(number)))
    answered, shown = np.zeros(votes.shape, bool), np.zeros(votes.shape, bool)
    for (left, right), preference in zip(keys, preferences, strict=True):
        pair = ([number[left], number[right]], [number[right], number[left]])
        shown[pair] = True
        if preference.answer is not Answer.SKIP:
            answered[pair] = True
            votes[pair] += np.array([1, -1]) * (Answer(preference.answer).target - 0.5)
    better, tied = closed(answered & (votes > 0), answered & (votes == 0))
    return RankedList(name, list(segments.values()), better, tied, answered, shown & ~answered)


def closed(better: Array, tied: Array) -> tuple[Array, Array]:
    """Compute the transitive closure of direct comparisons.

    Args:
        better: Whether i was judged better than j, bool, shape (m, m).
        tied: Whether both were judged equally good, bool, symmetric, shape (m, m).

    Returns:
        `better` and `tied` for all pairs whose order follows without a contradiction.
    """
    at_least = better | tied | np.eye(len(better), dtype=bool)
    for k in range(len(better)):
        at_least = at_least | (at_least[:, k, None] & at_least[None, k])
    strictly = (at_least.astype(int) @ better.astype(int) @ at_least.astype(int)) > 0
    contradicted = strictly & strictly.T
    return strictly & ~contradicted, at_least & at_least.T & ~strictly


def _key(segment: Segment) -> object:
    """Return a key that identifies a segment, since each read from the store makes a new object."""
    if segment.origin is not None:
        return segment.origin.seed, segment.start, segment.length
    return tuple(content(segment))
