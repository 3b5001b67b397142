"""Detection of two groups of people with different goals, whose answers would otherwise be averaged.

The model is a mixture of two rewards over people, some of whom may answer at random and belong to neither group. What
an option is worth to a group has the prior of :func:`rlhf_gym.quality.reliability.reliabilities` and is integrated out
(Laplace's approximation), so that each partition of the people has a marginal likelihood: two rewards are more probable
than one only if one reward explains the answers far worse.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import logsumexp

from rlhf_gym.preferences import Query, Said
from rlhf_gym.quality.judged import TIE, Judged
from rlhf_gym.quality.reliability import Model
from rlhf_gym.segments import Array

SURENESS = (0.5, 1.0, 2.0, 4.0)
"""Candidates for each person's sureness; the one that makes their own answers most probable is used."""
TOGETHER = (0.5, 1.0, 2.0)
"""Factors on the sureness of a whole group, with equal prior probabilities: more answers determine it better."""
COIN = 0.1
"""Prior probability that a person answers at random."""
CLEAR = 5.0
"""Log Bayes factor from which two groups are clear: 150, very strong evidence (Kass & Raftery 1995)."""
PEOPLE_MOST = 8  # people to consider: each one trebles the partitions
Group = frozenset[int]
Parting = tuple[Group, Group]
"""A partition: the numbers of the people in two groups, the lowest number in the first; others answer at random."""


@dataclass(frozen=True)
class Groups:
    """The most probable partition of people into two groups.

    Args:
        members: By name, the probabilities of being in the first group, which is the larger one, and in the second; the
            rest is the probability of answering at random.
        evidence: Log Bayes factor of two groups against one.
        agree: Share of all judged pairs on which both groups' rewards prefer the same option.
    """

    members: Mapping[str, tuple[float, float]]
    evidence: float
    agree: float

    @property
    def clear(self) -> bool:
        """Whether `evidence` reaches `CLEAR`."""
        return self.evidence >= CLEAR


def find_groups(said: Mapping[str, Sequence[tuple[Query, Said]]]) -> Groups | None:
    """Partition people into two groups by their goals.

    The search begins with each person against all others, and moves one person at a time for as long as that makes the
    answers more probable; partitions that it doesn't visit have probability 0. Of more than 8 people only those with
    the most answers are considered.

    Args:
        said: By person, the queries as they were shown, with the answers.

    Returns:
        The most probable partition and its evidence; None if fewer than two people judged any two options.
    """
    most = sorted(said, key=lambda who: -len(said[who]))[:PEOPLE_MOST]
    judged = Judged.of({who: said[who] for who in most})
    people = frozenset(range(len(judged.people)))
    if len(people) < 2:
        return None
    wants = _Wants(judged)
    one = set(_climb(wants, (people, frozenset()), people, groups=1))
    two = sorted(
        {p for number in people for p in _climb(wants, _parted(people - {number}, {number}), people, groups=2)},
        key=lambda parting: -wants.evidence(parting),
    )
    logs = np.array([wants.evidence(parting) for parting in two])
    first, second = sorted(two[0], key=len, reverse=True)
    turned = [parting if _shared(parting, (first, second)) else parting[::-1] for parting in two]
    inside = np.array([[[number in group for group in parting] for number in people] for parting in turned])
    members = np.tensordot(np.exp(logs - logsumexp(logs)), inside, axes=1)
    return Groups(
        {who: (float(p), float(q)) for who, (p, q) in zip(judged.people, members, strict=True)},
        float(logsumexp(logs) - logsumexp([wants.evidence(parting) for parting in one])),
        wants.agreement(first, second),
    )


def _parted(one: Collection[int], other: Collection[int]) -> Parting:
    first, second = sorted((frozenset(one), frozenset(other)), key=lambda group: min(group, default=math.inf))
    return first, second


def _shared(one: Parting, other: Parting) -> bool:
    """Test whether two partitions have their groups in the same order, for most of the people."""
    straight, across = (len(one[0] & other[i]) + len(one[1] & other[1 - i]) for i in range(2))
    return straight >= across


def _climb(wants: _Wants, parting: Parting, people: Group, *, groups: int) -> Iterator[Parting]:
    """Yield the partitions into `groups` groups, one or two, that a climb from `parting` to higher evidence visits."""
    while True:
        yield parting
        moves = [
            _parted(*(group - {number} | ({number} if to == i else set()) for i, group in enumerate(parting)))
            for number in people
            for to in range(3)
        ]
        near = {p for p in moves if sum(map(bool, p)) == groups} - {parting}
        yield from near
        best = max(near, key=wants.evidence, default=parting)
        if wants.evidence(best) <= wants.evidence(parting):
            return
        parting = best


class _Wants:
    """The evidence for any partition of people.

    Args:
        judged: The judgements of all people.
    """

    def __init__(self, judged: Judged) -> None:
        self._judged = judged
        ties = float(np.mean(judged.outcome == TIE).clip(0.01, 0.9))
        self._ties = math.log(2 * ties / (1 - ties))  # Davidson's parameter, for equally good options
        self._sureness = np.ones(len(judged.people))
        for number in range(len(judged.people)):
            alone = {by: self._at(by, [number])[1] for by in SURENESS}
            self._sureness[number] = max(alone, key=alone.__getitem__)
        self._coins = [self._at(0.0, [number])[1] for number in range(len(judged.people))]
        self._of = cache(self._together)

    def evidence(self, parting: Parting) -> float:
        """Compute the log probability of the answers and of a partition, given the number of groups."""
        coins = [of for number, of in enumerate(self._coins) if not any(number in group for group in parting)]
        others = len(self._coins) - len(coins)
        prior = len(coins) * math.log(COIN) + others * math.log(1 - COIN)
        if all(parting):
            prior -= math.log(2.0 ** (others - 1) - 1)
        return prior + sum(coins) + sum(map(self._of, parting))

    def _together(self, people: Group) -> float:
        """Compute the log marginal likelihood of some people's answers, if they share one reward."""
        if not people:
            return 0.0
        return float(logsumexp([self._at(by, sorted(people))[1] for by in TOGETHER])) - math.log(len(TOGETHER))

    def agreement(self, one: Collection[int], other: Collection[int]) -> float:
        """Compute the share of pairs on which two groups prefer the same option."""
        better = [self._better(sorted(people)) for people in (one, other)]
        return float(np.mean(better[0] * better[1] > 0))

    def _better(self, people: Sequence[int]) -> Array:
        """Estimate how much a group prefers the first of each pair, including pairs that only others judged."""
        by = max(TOGETHER, key=lambda by: self._at(by, people)[1])
        pull = self._at(by, people)[0]
        return np.asarray(self._judged.before[:, self._judged.pairs_of(people)] @ pull)

    def _at(self, by: float, people: Sequence[int]) -> tuple[Array, float]:
        """Compute the answers' pull on each pair and their log evidence, with each person's sureness times `by`."""
        sureness = by * self._sureness[list(people)]
        theta = np.concatenate([sureness, np.zeros(len(people)), [self._ties]])
        found = Model(self._judged.only(people)).laplace(theta)
        return found.pull, found.evidence
