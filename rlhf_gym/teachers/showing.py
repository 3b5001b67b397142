"""Answers to queries of every kind, including demonstrations and corrections that a teacher makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Answer, Query, Said, Shown
from rlhf_gym.segments import Segment

Shows = Callable[[Query], Segment]
"""Makes the segment that answers a query: a demonstration, or a correction."""


Judge = Callable[[Sequence[Query]], Sequence[Said]]
"""Answers queries for which no segment has to be made."""


def answered(
    queries: Sequence[Query], judge: Judge, shows: Shows | None, *, compare: Judge | None = None
) -> list[Said]:
    """Answer queries of every kind, in their order.

    A segment made is shown only if the teacher prefers it to at least one of the query's options and prefers none of
    them to it; otherwise the query is skipped. A policy that is good in the long run isn't better at every moment,
    because recovering costs return at first.

    Args:
        queries: N of them.
        judge: Answers queries that need no segment made.
        shows: Makes the segments for the other queries; None can't make any.
        compare: Compares segments made with options; None is `judge`.

    Raises:
        BadInput: If a query needs a segment made, and `shows` is None.
    """
    made = [find_kind(query.kind).made for query in queries]
    judged = iter(judge([query for query, is_made in zip(queries, made, strict=True) if not is_made]))
    compare = compare or judge
    return [_shown(query, compare, shows) if m else next(judged) for query, m in zip(queries, made, strict=True)]


def _shown(query: Query, compare: Judge, shows: Shows | None) -> Said:
    if shows is None:
        raise BadInput(
            f"query {query.id!r} is a {query.kind}, and the teacher has nothing to show; set feedback.demonstrator: a "
            "run directory, a policy's file, or recorded trajectories"
        )
    segment = shows(query)
    against = set(compare([Query((segment, option), id=query.id) for option in query.options]))
    return Shown(segment) if Answer.LEFT in against and Answer.RIGHT not in against else Answer.SKIP
