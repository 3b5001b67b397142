"""The oracle: a teacher without flaws, who knows the true reward or a goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from rlhf_gym.preferences import Answer, Query
from rlhf_gym.teachers.goals import Goal, finite, goal_rewards
from rlhf_gym.teachers.teacher import Teacher


@final
class OracleTeacher(Teacher):
    """Prefers the segment with the larger undiscounted sum of rewards over its lived steps; equal sums are a TIE.

    Sums are exact: rewards are taken as double precision and their exact sum is rounded once. So neither the order of
    the steps nor the size of the batch matters, and a constant reward ties wherever equally many steps were lived.
    There is no tolerance beyond that: sums that differ at all are not a tie.

    Args:
        goal: Judge by this in place of the environment's reward. It is called once for all steps of all segments.

    Raises:
        ValueError: From `answer`, if a reward is NaN or infinite (the message names the step), or if the goal returns
            something other than one reward per step.
    """

    name = "oracle"

    def __init__(self, goal: Goal | None = None) -> None:
        self.goal = goal

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """See :meth:`Teacher.answer`."""
        if not queries:
            return []
        returns = self._returns(queries)
        return [_larger(left, right) for left, right in zip(returns[::2], returns[1::2], strict=True)]

    def _returns(self, queries: Sequence[Query]) -> list[float]:
        """Sums of left, right, left, right, ..., length 2N."""
        segments = [segment for query in queries for segment in (query.left, query.right)]
        ends = np.cumsum([segment.lived for segment in segments])

        def step_name(step: int) -> str:
            number = int(np.searchsorted(ends, step, side="right"))
            within = step - (ends[number] - segments[number].lived)
            return f"step {within} of the {('left', 'right')[number % 2]} segment of query {queries[number // 2].id!r}"

        rewards: NDArray[np.float64]
        if self.goal is None:
            rewards = finite(np.concatenate([s.rewards for s in segments]), "the environment gives", step_name)
        else:
            rewards = goal_rewards(
                self.goal,
                np.concatenate([segment.observations[:-1] for segment in segments]),
                np.concatenate([segment.actions for segment in segments]),
                np.concatenate([segment.observations[1:] for segment in segments]),
                step_name=step_name,
            )
        return [math.fsum(part.tolist()) for part in np.split(rewards, ends[:-1])]


def _larger(left: float, right: float) -> Answer:
    if left == right:
        return Answer.TIE
    return Answer.LEFT if left > right else Answer.RIGHT
