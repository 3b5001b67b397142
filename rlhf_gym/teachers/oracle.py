"""The oracle: a teacher without errors, who knows the true reward, a goal, or other values of segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query, Said
from rlhf_gym.teachers.goals import Goal
from rlhf_gym.teachers.showing import Shows, answered
from rlhf_gym.teachers.teacher import Teacher
from rlhf_gym.teachers.values import Seen, Values, goal_returns, said, true_returns, worths


@final
class OracleTeacher(Teacher):
    """Answer by the segments' values, as the query's kind requires; equal values are a tie.

    A segment's value is the undiscounted sum of rewards over its lived steps. Sums are exact
    (:func:`rlhf_gym.teachers.true_returns`), so under a constant reward, segments with equally many lived steps tie.
    There is no other tolerance: sums that differ at all are not a tie. A segment is rated by its rank among the last
    200 rated segments.

    Args:
        goal: Compare by the sum of this goal's rewards instead of the environment's.
        values: Compare by these values instead of a sum of rewards.
        shows: Makes demonstrations and corrections; None can't make any.

    Raises:
        BadInput: If both goal and values are given; and from `answer`, if a reward or a value is NaN or infinite (the
            message names it), if there isn't one for each step or segment, or if `shows` is needed and None.
    """

    name = "oracle"

    def __init__(self, goal: Goal | None = None, *, values: Values | None = None, shows: Shows | None = None) -> None:
        if goal is not None and values is not None:
            raise BadInput("got both a goal and values; give one of them, or neither for the true return")
        self.goal = goal
        self.values = values or (true_returns if goal is None else goal_returns(goal))
        self._shows, self._seen = shows, Seen()

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        """See :meth:`Teacher.answer`."""
        return answered(queries, self._judge, self._shows)

    def save_state(self) -> dict[str, Any]:
        """See :meth:`Teacher.save_state`: the values of the segments rated lately."""
        return {"seen": self._seen.state}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """See :meth:`Teacher.restore_state`."""
        self._seen.restore(state["seen"])

    def _judge(self, queries: Sequence[Query]) -> list[Said]:
        return [said(*of, self._seen) for of in zip(queries, worths(self.values, queries), strict=True)]
