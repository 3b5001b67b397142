"""The insertion scheme: put segments in order by binary search, and fit to all that the order implies."""

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
    """Place one new segment after another in an ordered list, by comparisons with the middle of where it may be.

    After LiRE (Choi et al. 2024, Listwise Reward Estimation for Offline Preference-based Reinforcement Learning): to
    place a segment among m takes about log2(m) comparisons, and the list tells the order of all its pairs. Segments
    that are said to be equally good share a place. There are several lists side by side, of bounded length, as a list
    can be asked one thing at a time; they are put together again from the answers whenever something is asked, so that
    skips, answers taken back and interruptions change nothing else.

    Don't expect a better reward from it than from disagreement. On CartPole at x = 1, from 50 answers about the same
    16,384 steps, the fitted reward ordered 2,000 other pairs right in these shares, means over seeds:

    ============================================  =======  ============  =========
    .                                             uniform  disagreement  insertion
    ============================================  =======  ============  =========
    networks, seeds 100 to 105                    0.912    0.930         0.908
    and a quadratic part, seeds 100 to 102        0.916    0.945         0.934
    networks, 1 answer in 10 wrong, 100 to 102    0.808    0.918         0.831
    ============================================  =======  ============  =========

    The last is of two lists, which gave 0.904 and 0.939 above. How pairs are weighed made a difference of at most
    0.006.

    What follows from answers must not be fitted to while these are held out. So a list is one group: it is held out,
    and weighted by the bootstrap, as a whole. LiRE's linear score function, in place of the exponential one of Bradley
    and Terry, isn't part of this scheme.

    Args:
        lists: Lists that are put together side by side, and so how many queries are asked at once.
        comparisons: After how many a list takes no new segment (LiRE: 100).
        weigh: What a list counts for in the fit. "answers": as much as the comparisons that were answered, spread
            evenly over all pairs whose order is known, for what was never asked tells nothing new. "pairs": each pair
            as much as an answer, as LiRE has it.

    Raises:
        BadInput: If a number is below 1, or there is no such way to weigh.
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
        """Make the next comparisons, at most `n`, and at most one of each list.

        Args:
            trajectories: Where to cut new segments.
            length: Steps of a segment.
            n: How many.
            preferences: What was answered so far.
            waiting: Queries that wait for an answer, and their lists with them.
            rng: Source of new segments, of sides, and of the queries' ids.
            terminated: How many of the new segments at least are to run into a termination, as far as there are such.

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
        return one.asked >= self.comparisons and one.next is None

    def choices(self, preferences: Sequence[Preference], choices: Sequence[Choice]) -> list[Choice]:
        """Add to what each answer implies by itself what the lists do; see :func:`with_implied`."""
        return with_implied(preferences, choices, weigh=self.weigh)


def _fresh(
    trajectories: Sequence[Trajectory],
    length: int,
    n: int,
    known: Sequence[Segment],
    terminated: int,
    rng: np.random.Generator,
) -> list[Segment]:
    """Draw `n` segments uniformly, other than those known, and first such as run into a termination."""

    def draw(n: int, taken: Sequence[Segment], ending: bool) -> list[Segment]:
        alone = [Query((segment,), id="") for segment in taken]
        groups = Groups(trajectories, length, 1, alone, terminated=ending)
        n = min(n, groups.count) if ending else n
        return [query.left for query in candidates_of(groups, n, rng).queries()] if n else []

    first = draw(min(n, terminated), known, ending=True) if terminated else []
    segments = first + draw(n - len(first), [*known, *first], ending=False)
    return [segments[i] for i in rng.permutation(n)] if first else segments


def _next(one: RankedList, fresh: Iterator[Segment]) -> tuple[Segment, Segment]:
    """Take the segment that is to be placed in a list, a fresh one if none is, and the one to compare it with."""
    if one.next is not None:
        return one.segments[one.next.segment], one.segments[one.next.against]
    return next(fresh), one.segments[one.middle(one.placed)]


def _query(name: str, pair: tuple[Segment, Segment], rng: np.random.Generator) -> Query:
    """Make a query of a list, the new segment as often left as right."""
    options = pair if rng.random() < 0.5 else pair[::-1]
    return Query(options, id=named(name, rng.bytes(NAME_BYTES).hex()), why=INSERTION)
