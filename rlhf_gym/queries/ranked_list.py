"""A list of segments in order, as far as comparisons tell it: put together from the answers alone."""

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
NAME_BYTES = 8  # and as many more tell the queries of a list apart


def list_name(query: Query) -> str:
    """Name the list that a query belongs to, with its run's mark."""
    return named(query.id)


def named(id_: str, drawn: str = "") -> str:
    """Keep of a query's id the list's name and the run's mark, with what was `drawn` between them."""
    head, at, run = id_.partition(MARK)
    return f"{head[: 2 * NAME_BYTES]}{drawn}{at}{run}"


class Next(NamedTuple):
    """What is to be compared next, as numbers of segments."""

    segment: int
    """Which isn't placed yet."""
    against: int
    """Which is."""


@dataclass(frozen=True, eq=False)
class RankedList:
    """What is known of the order of m segments, directly or by transitivity.

    Answers that contradict each other, as when one was taken back and another given, imply nothing about those between
    which they run in a circle.

    Args:
        name: Of the list.
        segments: In the order in which they were first asked about.
        better: Whether segment i is known to be better than j, bool, shape (m, m).
        tied: Whether both are known to be equally good, bool, shape (m, m); each segment is to itself.
        answered: Whether somebody compared them, bool, shape (m, m).
        skipped: Whether both were shown and nobody could tell, bool, shape (m, m).
    """

    name: str
    segments: Sequence[Segment]
    better: Array
    tied: Array
    answered: Array
    skipped: Array

    @property
    def asked(self) -> int:
        """How many comparisons were answered or skipped."""
        return int((self.answered | self.skipped).sum()) // 2

    @property
    def implied(self) -> Array:
        """Pairs i < j whose order is known though nobody compared them, shape (P, 2)."""
        return np.argwhere(np.triu(self._known & ~self.answered, 1))

    @cached_property
    def placed(self) -> list[int]:
        """Numbers of segments, the worst first, of each two of which the order is known.

        Left out are those that are known the least in relation to the others, the latest first.
        """
        left = np.arange(len(self.segments))
        while (unknown := (~self._known[np.ix_(left, left)]).sum(axis=1)).any():
            left = np.delete(left, len(left) - 1 - int(unknown[::-1].argmax()))
        return sorted(left.tolist(), key=lambda i: int(self.better[i, left].sum()))

    @property
    def next(self) -> Next | None:
        """Find the segment that is nearest to its place, and the middle of where it may be; None if all are placed.

        A pair that was skipped isn't asked again, nor one whose answers are contradicted: that segment is given up.
        """
        given_up = np.any(self.skipped | self.answered & ~self._known, axis=1)
        waiting = [i for i in range(len(self.segments)) if i not in self.placed and not given_up[i]]
        if not waiting:
            return None
        between = {i: [j for j in self.placed if not self._known[i, j]] for i in waiting}
        nearest = min(waiting, key=lambda i: len(between[i]))
        return Next(nearest, self.middle(between[nearest]))

    def middle(self, among: Sequence[int]) -> int:
        """Take one of the middle group of tied segments among these, which are in order."""
        worse = np.array([int(self.better[i, among].sum()) for i in among])
        groups = np.unique(worse)
        return among[int(np.argmax(worse == groups[len(groups) // 2]))]

    @cached_property
    def _known(self) -> Array:
        return np.asarray(self.better | self.better.T | self.tied)


def ranked_lists(preferences: Iterable[Preference]) -> dict[str, RankedList]:
    """Put all lists together again from the answers, by name, in the order of their first answers."""
    by_list: dict[str, list[Preference]] = defaultdict(list)
    for preference in preferences:
        if preference.query.why == INSERTION:
            by_list[list_name(preference.query)].append(preference)
    return {name: _ranked(name, of_list) for name, of_list in by_list.items()}


def _ranked(name: str, preferences: Sequence[Preference]) -> RankedList:
    """Put one list together; where several people answered, more of them count."""
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
    """Add what follows by transitivity, from what was said directly.

    Args:
        better: Whether i was said to be better than j, bool, shape (m, m).
        tied: Whether both were said to be equally good, bool, symmetric, shape (m, m).

    Returns:
        The same two of all that follows without a contradiction.
    """
    at_least = better | tied | np.eye(len(better), dtype=bool)
    for k in range(len(better)):
        at_least = at_least | (at_least[:, k, None] & at_least[None, k])
    strictly = (at_least.astype(int) @ better.astype(int) @ at_least.astype(int)) > 0
    contradicted = strictly & strictly.T
    return strictly & ~contradicted, at_least & at_least.T & ~strictly


def _key(segment: Segment) -> object:
    """Tell a segment again: it is another object whenever it is read from the store."""
    if segment.origin is not None:
        return segment.origin.seed, segment.start, segment.length
    return tuple(content(segment))
