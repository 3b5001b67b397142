"""The insertion scheme: sort segments by binary search, and fit to every pair that the order implies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Choice, Preference, Query
from rlhf_gym.queries.implied import WEIGHTS, with_implied
from rlhf_gym.queries.ranked_list import INSERTION, NAME_BYTES, RankedList, list_name, named, ranked_lists
from rlhf_gym.queries.sampling import Groups, candidates_of
from rlhf_gym.segments import Segment, Trajectory


@final
class Insertion:
    """Sort segments into ordered lists by binary search, one comparison at a time.

    After LiRE (Choi et al. 2024, Listwise Reward Estimation for Offline Preference-based Reinforcement Learning):
    placing a segment among m takes about log2(m) comparisons, and the list orders all its pairs. Segments judged
    equally good share a place. A list can have only one open query, so several lists of bounded length are built side
    by side. They are rebuilt from the answers at every call, so skips, answers taken back and interruptions need no
    special handling.

    Don't expect a better reward from it than from disagreement. On CartPole at x = 1, the share of 2,000 other pairs
    ordered correctly by a reward fitted to 50 answers about the same 16,384 steps was, averaged over seeds:

    ============================================  =======  ============  =========
    .                                             uniform  disagreement  insertion
    ============================================  =======  ============  =========
    networks, seeds 100 to 105                    0.912    0.930         0.908
    networks with a quadratic part, 100 to 102    0.916    0.945         0.934
    networks, 1 answer in 10 wrong, 100 to 102    0.808    0.918         0.831
    ============================================  =======  ============  =========

    Insertion in the last row had two lists, which gave 0.904 and 0.939 in the rows above. `weigh` made a difference of
    at most 0.006.

    A pair implied by answers must not be fitted to while these are held out, so a list is one group, held out and
    weighted by the bootstrap as a whole. LiRE's linear score function, which replaces the exponential of Bradley and
    Terry, isn't part of this scheme.

    Args:
        lists: Number of lists built side by side, and so the most queries open at once.
        comparisons: Comparisons after which a list takes no new segment (LiRE: 100).
        weigh: Weight of a list in the fit. "answers": the number of comparisons answered, spread evenly over all pairs
            whose order is known, because implied pairs add no information. "pairs": each pair counts as much as an
            answer, as in LiRE.

    Raises:
        BadInput: If `lists` or `comparisons` is no whole number of at least 1, or `weigh` is unknown.
    """

    def __init__(self, lists: int = 4, comparisons: int = 25, weigh: str = "answers") -> None:
        for name, number in (("lists", lists), ("comparisons", comparisons)):
            if type(number) is not int or number < 1:
                raise BadInput(f"query.scheme_options.{name} is {number!r}; use a whole number of at least 1")
        if weigh not in WEIGHTS:
            raise BadInput(f"query.scheme_options.weigh is {weigh!r}; use {' or '.join(WEIGHTS)}")
        self.lists, self.comparisons, self.weigh = lists, comparisons, weigh

    def choose(
        self,
        trajectories: Sequence[Trajectory],
        *,
        length: int,
        n: int,
        preferences: Sequence[Preference],
        waiting: Sequence[Query],
        rng: np.random.Generator,
        terminated: int = 0,
    ) -> list[Query]:
        """Make the next comparisons, at most `n`, and at most one per list.

        Args:
            trajectories: Source of new segments.
            length: Steps of a segment.
            n: Number of queries, at most.
            preferences: Answers so far.
            waiting: Open queries; their lists get no other one.
            rng: Source of new segments, of sides, and of the queries' ids.
            terminated: Least number of new segments that run into a termination, as far as there are such segments.

        Raises:
            BadInput: If there are too few segments.
        """
        ranked = ranked_lists(preferences)
        names = {list_name(query) for query in waiting if query.why == INSERTION}
        under_way = [one for one in ranked.values() if one.name not in names and not self._done(one)]
        room = max(0, min(n, self.lists - len(names)))
        new = min(room, max(0, self.lists - len(names) - len(under_way)))
        asked = sorted(under_way, key=lambda one: one.asked)[: room - new]
        known = [segment for one in ranked.values() for segment in one.segments]
        known += [segment for query in waiting for segment in query.options]
        wanted = 2 * new + sum(one.next is None for one in asked)
        fresh = iter(_fresh(trajectories, length, wanted, known, terminated, rng) if wanted else [])
        begun = [_query(rng.bytes(NAME_BYTES).hex(), (next(fresh), next(fresh)), rng) for _ in range(new)]
        return begun + [_query(one.name, _next(one, fresh), rng) for one in asked]

    def _done(self, one: RankedList) -> bool:
        """Whether a list has enough comparisons, or only ones that contradict each other in a cycle."""
        return one.next is None and (one.asked >= self.comparisons or not one.placed)

    def choices(self, preferences: Sequence[Preference], choices: Sequence[Choice]) -> list[Choice]:
        """Add the choices that the lists imply to those that each answer implies; see :func:`with_implied`."""
        return with_implied(preferences, choices, weigh=self.weigh)


def _fresh(
    trajectories: Sequence[Trajectory],
    length: int,
    n: int,
    known: Sequence[Segment],
    terminated: int,
    rng: np.random.Generator,
) -> list[Segment]:
    """Draw `n` new segments uniformly, at least `terminated` of which run into a termination if there are enough."""

    def draw(n: int, taken: Sequence[Segment], ending: bool) -> list[Segment]:
        alone = [Query((segment,), id="") for segment in taken]
        groups = Groups(trajectories, length, 1, alone, terminated=ending)
        n = min(n, groups.count) if ending else n
        return [query.left for query in candidates_of(groups, n, rng).queries()] if n else []

    first = draw(min(n, terminated), known, ending=True) if terminated else []
    segments = first + draw(n - len(first), [*known, *first], ending=False)
    return [segments[i] for i in rng.permutation(n)] if first else segments


def _next(one: RankedList, fresh: Iterator[Segment]) -> tuple[Segment, Segment]:
    """Return the next segment to place in a list, a fresh one if none waits, and the segment to compare it with."""
    if one.next is not None:
        return one.segments[one.next.segment], one.segments[one.next.against]
    return next(fresh), one.segments[one.middle(one.placed)]


def _query(name: str, pair: tuple[Segment, Segment], rng: np.random.Generator) -> Query:
    """Make a query of a list, its two segments in random order."""
    options = pair if rng.random() < 0.5 else pair[::-1]
    return Query(options, id=named(name, rng.bytes(NAME_BYTES).hex()), why=INSERTION)
