"""The oracle: a teacher without errors, who knows the true reward, a goal, or other values of segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Query, Said
from rlhf_gym.segments import Array
from rlhf_gym.teachers.goals import Goal, NotFinite
from rlhf_gym.teachers.teacher import Teacher
from rlhf_gym.teachers.values import Values, goal_returns, true_returns


@final
class OracleTeacher(Teacher):
    """Answer by the segments' values, as the query's kind asks: equal values are a tie.

    Worth is the undiscounted sum of rewards over the lived steps. Sums are exact
    (:func:`rlhf_gym.teachers.true_returns`), so a constant reward ties wherever equally many steps were lived. There is
    no tolerance beyond that: sums that differ at all are not a tie.

    Args:
        goal: Compare by the sum of this in place of the environment's reward.
        values: Compare by this in place of a sum of rewards.

    Raises:
        BadInput: If both are given; and from `answer`, if a reward or a worth is NaN or infinite (the message names
            it), or if there isn't one for each step or segment.
    """

    name = "oracle"

    def __init__(self, goal: Goal | None = None, *, values: Values | None = None) -> None:
        if goal is not None and values is not None:
            raise BadInput("got both a goal and values; give one of them, or neither for the true return")
        self.goal = goal
        self.values = values or (true_returns if goal is None else goal_returns(goal))

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        """See :meth:`Teacher.answer`."""
        if not queries:
            return []
        ends = np.cumsum([len(query.options) for query in queries])
        worths = np.split(self._worth(queries), ends[:-1])
        return [find_kind(query.kind).answer(worth.tolist()) for query, worth in zip(queries, worths, strict=True)]

    def _worth(self, queries: Sequence[Query]) -> Array:
        """Compute the values of all options of all queries, in a row."""
        names = [f"the {name} segment of query {query.id!r}" for query in queries for name in query.names]
        try:
            worth = np.asarray(self.values([segment for query in queries for segment in query.options]))
        except NotFinite as error:
            raise BadInput(error.told(names[error.segment])) from error
        if worth.shape != (len(names),) or worth.dtype.kind not in "biuf":
            raise BadInput(
                f"values returned {worth.dtype} of shape {worth.shape} for {len(names)} segments; expected one real "
                f"number per segment, shape ({len(names)},)"
            )
        if (bad := np.flatnonzero(~np.isfinite(worth))).size:
            raise BadInput(
                f"values returned {worth[bad[0]]} for {names[bad[0]]}; worth must be finite, or it can't be compared: "
                "mend what computes it"
            )
        return worth
