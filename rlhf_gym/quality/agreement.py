"""Agreement between people, and transitivity of judgements."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations

from rlhf_gym.preferences import Answer, Query, Ranking, Said
from rlhf_gym.segments import Segment


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Compute Krippendorff's alpha for nominal data, missing values allowed (Krippendorff 2011, section C).

    Args:
        units: For each item that was judged, the answers of all who judged it. Items with fewer than two are left out.

    Returns:
        1 for full agreement, 0 for agreement by chance, below 0 for less; None if it is undefined: no item was judged
        twice, or all answers are the same.
    """
    tallies = [Counter(values) for values in units if len(values) > 1]
    totals = sum(tallies, Counter[Hashable]())
    n = totals.total()
    by_chance = n * n - sum(count * count for count in totals.values())
    if by_chance == 0:
        return None
    differing = sum(_differing(tally) for tally in tallies)
    return 1 - (n - 1) * differing / by_chance


def ordinal_alpha(units: Iterable[Sequence[int]]) -> float | None:
    """Compute Krippendorff's alpha for ordinal data, missing values allowed (Krippendorff 2011, section D).

    Two values differ by the number of values given from one to the other, these two counted half, squared.

    Args:
        units: For each item that was judged, the places on the scale that people gave it; see
            :func:`krippendorff_alpha`.

    Returns:
        As :func:`krippendorff_alpha` does.
    """
    tallies = [Counter(values) for values in units if len(values) > 1]
    totals = sum(tallies, Counter[int]())
    squared = {
        (low, high): (sum(totals[g] for g in totals if low <= g <= high) - (totals[low] + totals[high]) / 2) ** 2
        for low, high in combinations(sorted(totals), 2)
    }
    by_chance = sum(totals[low] * totals[high] * far for (low, high), far in squared.items())
    if by_chance == 0:
        return None
    differing = sum(
        tally[low] * tally[high] * far / (tally.total() - 1)
        for tally in tallies
        for (low, high), far in squared.items()
    )
    return 1 - (totals.total() - 1) * differing / by_chance


def _differing(tally: Counter[Hashable]) -> float:
    """Count the ordered pairs of values of one unit that differ, weighted so that each value counts once."""
    m = tally.total()
    return (m * m - sum(count * count for count in tally.values())) / (m - 1)


def segment_digest(segment: Segment) -> str:
    """Compute a digest of a segment's steps, which is equal for equal steps in any query."""
    digest = hashlib.sha256(f"{segment.length} {segment.terminated}".encode())
    for array in (segment.observations, segment.actions):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def pairs(answer: Said, options: int) -> dict[tuple[int, int], Answer]:
    """Split an answer into pairwise judgements: one for a comparison, one per pair for a ranking, none for others.

    Args:
        answer: The answer.
        options: Number of options of the query.

    Returns:
        For each pair of places, the lower first: LEFT if that option is better, RIGHT if the other is, or TIE.
    """
    if isinstance(answer, Answer):
        return {} if answer is Answer.SKIP else {(0, options - 1): answer}
    if not isinstance(answer, Ranking):
        return {}
    rank = {option: number for number, group in enumerate(answer.groups) for option in group}
    return {(i, j): _better(rank[j] - rank[i]) for i, j in combinations(range(options), 2)}


def _better(ahead: int) -> Answer:
    if ahead == 0:
        return Answer.TIE
    return Answer.LEFT if ahead > 0 else Answer.RIGHT


def intransitive_triples(said: Iterable[tuple[Query, Said]]) -> tuple[int, int]:
    """Count triples of segments, each compared with both others, that can't be put in order.

    A comparison compares its two options, a ranking each two of its options. If a pair was judged several times, the
    majority counts. A tie may hide a difference too small to see, so "a over b, b like c, c like a" is no
    contradiction, but "a over b, b over c, c like a" is one.

    Args:
        said: Queries with their answers; skips don't count.

    Returns:
        Number of triples that contradict themselves, and of all triples.
    """
    ahead = _majorities(said)
    neighbours = defaultdict(set)
    for one, other in ahead:
        neighbours[one].add(other)
    triples = {
        frozenset((a, b, c)) for a in neighbours for b, c in combinations(neighbours[a], 2) if c in neighbours[b]
    }
    return sum(_contradicts(ahead, sorted(triple)) for triple in triples), len(triples)


def _majorities(said: Iterable[tuple[Query, Said]]) -> dict[tuple[str, str], int]:
    """Find each pair's majority, in both orders: 1 if the first is ahead, -1 if behind, 0 if neither."""
    balance = defaultdict[tuple[str, str], int](int)
    for query, answer in said:
        digests = [segment_digest(segment) for segment in query.options]
        for (i, j), better in pairs(answer, len(digests)).items():
            if digests[i] != digests[j]:
                vote = {Answer.LEFT: 1, Answer.RIGHT: -1, Answer.TIE: 0}[better]
                balance[digests[i], digests[j]] += vote
                balance[digests[j], digests[i]] -= vote
    return {pair: (votes > 0) - (votes < 0) for pair, votes in balance.items()}


def _contradicts(ahead: dict[tuple[str, str], int], triple: Sequence[str]) -> bool:
    a, b, c = triple
    around = sorted((ahead[a, b], ahead[b, c], ahead[c, a]))
    return around in ([1, 1, 1], [0, 1, 1], [-1, -1, -1], [-1, -1, 0])
