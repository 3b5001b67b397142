"""Judgements of pairs of segments by people, as arrays, and the similarity of those pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from rlhf_gym.preferences import Answer, Query, Ranking, Said
from rlhf_gym.quality.agreement import pairs, segment_digest
from rlhf_gym.segments import Array, Segment

PAIRS_MOST = 300  # judged pairs to consider: the time grows with its cube
ALIKE = 0.5  # share of a pair's prior variance that states and actions explain
TIE = 2
OUTCOMES = {Answer.LEFT: 0, Answer.RIGHT: 1, Answer.TIE: TIE}


@dataclass(frozen=True)
class Judged:
    """M judgements of P pairs by people.

    Args:
        people: Names.
        before: Prior covariance of how much better the first of each pair is, shape (P, P).
        pair: Number of each judgement's pair, shape (M,).
        person: Number of each judgement's person, shape (M,).
        sign: 1 if the pair was shown in its own order, -1 in reverse, shape (M,).
        sided: 1 if it had a left side, 0 if it was part of a ranking, shape (M,).
        outcome: 0 left, 1 right, 2 tie, shape (M,).
    """

    people: Sequence[str]
    before: Array
    pair: Array
    person: Array
    sign: Array
    sided: Array
    outcome: Array

    @classmethod
    def of(cls, said: Mapping[str, Sequence[tuple[Query, Said]]]) -> Judged:
        """Split answers into pairwise judgements, and choose the pairs to consider.

        Args:
            said: By person, the queries as they were shown, with the answers.
        """
        segments: dict[str, Segment] = {}
        judgements: dict[tuple[str, str], list[tuple[str, int, bool, int]]] = defaultdict(list)
        for who, mine in said.items():
            for query, answer in mine:
                digests = [segment_digest(segment) for segment in query.options]
                segments |= dict(zip(digests, query.options, strict=True))
                for (i, j), better in pairs(answer, len(digests)).items():
                    if digests[i] != digests[j]:
                        one, other = sorted((digests[i], digests[j]))
                        sign = 1 if one == digests[i] else -1
                        sided = not isinstance(answer, Ranking)
                        judgements[one, other].append((who, sign, sided, OUTCOMES[better]))
        most = _chosen({pair: [who for who, *_ in by] for pair, by in judgements.items()})
        rows = [(number, *one) for number, pair in enumerate(most) for one in judgements[pair]]
        people = sorted({row[1] for row in rows})
        return cls(
            people,
            _alike([(segments[one], segments[other]) for one, other in most]) if most else np.zeros((0, 0)),
            np.array([row[0] for row in rows], int),
            np.array([people.index(row[1]) for row in rows], int),
            np.array([row[2] for row in rows], float),
            np.array([row[3] for row in rows], float),
            np.array([row[4] for row in rows], int),
        )

    def pairs_of(self, people: Sequence[int]) -> Array:
        """List the numbers of the pairs that some of the people judged, ascending."""
        return np.unique(self.pair[np.isin(self.person, people)])

    def only(self, people: Sequence[int]) -> Judged:
        """Select the judgements of some of the people, and the pairs that they judged.

        Args:
            people: Their numbers, ascending.
        """
        theirs = np.isin(self.person, people)
        those, pair = np.unique(self.pair[theirs], return_inverse=True)  # as in pairs_of
        return Judged(
            [self.people[number] for number in people],
            self.before[np.ix_(those, those)],
            pair,
            np.searchsorted(people, self.person[theirs]),
            self.sign[theirs],
            self.sided[theirs],
            self.outcome[theirs],
        )


def _chosen(judges: Mapping[tuple[str, str], Sequence[str]]) -> list[tuple[str, str]]:
    """Choose up to `PAIRS_MOST` pairs, in turn for each person, those first that most people judged."""
    mine: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for pair in sorted(judges, key=lambda pair: -len(judges[pair])):
        for who in judges[pair]:
            mine[who].append(pair)
    in_turn = (pair for together in zip_longest(*mine.values()) for pair in together if pair is not None)
    return list(dict.fromkeys(in_turn))[:PAIRS_MOST]


def _alike(options: Sequence[tuple[Segment, Segment]]) -> Array:
    """Compute how alike pairs are in their differences of mean states and actions, shape (P, P), mean diagonal 1."""
    features = np.array([[_summary(segment) for segment in pair] for pair in options])
    std = features.reshape(-1, features.shape[-1]).std(axis=0)
    differences = (features[:, 0] - features[:, 1]) / np.where(std > 1e-9, std, 1)
    gram = differences @ differences.T
    size = np.trace(gram) / len(gram)
    alike = gram / size if size > 0 else np.zeros_like(gram)
    return np.asarray(ALIKE * alike + (1 - ALIKE) * np.eye(len(gram)))


def _summary(segment: Segment) -> Array:
    """Summarise a segment: means of states, actions and their squares over its length, and the share of it lived."""
    states = segment.observations[1:].reshape(segment.lived, -1).astype(np.float64)
    actions = segment.actions.reshape(segment.lived, -1).astype(np.float64)
    means = np.concatenate([states, states**2, actions, actions**2], axis=1).sum(axis=0) / segment.length
    return np.append(means, segment.lived / segment.length)
