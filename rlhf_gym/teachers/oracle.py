"""The oracle: a teacher without errors, who knows the true reward, a goal, or other values of segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Query, Said
from rlhf_gym.teachers.goals import Goal
from rlhf_gym.teachers.teacher import Teacher
from rlhf_gym.teachers.values import Values, goal_returns, true_returns, worths


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
        worth = worths(self.values, queries)
        return [find_kind(query.kind).answer(of.tolist()) for query, of in zip(queries, worth, strict=True)]
