"""What was asked and said: queries, answers, preferences."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rlhf_gym.segments import Segment


class Answer(Enum):
    """What a teacher says to a query."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    SKIP = "skip"

    @property
    def target(self) -> float:
        """Probability that left is preferred, as the likelihood wants it: 1, 0, or 0.5 for a tie."""
        if self is Answer.SKIP:
            raise ValueError("a skipped query has no target; leave it out of the fit")
        return {Answer.LEFT: 1.0, Answer.RIGHT: 0.0, Answer.TIE: 0.5}[self]

    @property
    def mirrored(self) -> Answer:
        """The same judgement, had the two segments been shown the other way round."""
        return {Answer.LEFT: Answer.RIGHT, Answer.RIGHT: Answer.LEFT}.get(self, self)


REPEAT, MIRRORED, CHECK = "repeat", "mirrored", "check"
"""Reasons for asking (`Query.why`) that are about whoever answers and not about the reward.

A repeat names in `Query.repeats` the query that it asks again; so does a mirrored one, which has left and right
exchanged. A check is a pair whose better side is obvious: its `Query.value` is above 0 where that is the left one.
"""


@dataclass(frozen=True, eq=False)
class Query:
    """Two segments put to a teacher, and why.

    Args:
        left: One segment.
        right: The other, of the same nominal length.
        id: Unique name, drawn from the run's own random numbers.
        why: Name of the selection scheme that chose it.
        value: How much the scheme wanted it (its unit is the scheme's own; 0 for uniform).
        policy_step: Environment steps the watched policy had been trained for.
        reward_version: How often the reward model had been fitted when the query was chosen.
        repeats: Id of the query that is asked again here, on purpose; None if this is no repeat.
    """

    left: Segment
    right: Segment
    id: str
    why: str = "uniform"
    value: float = 0.0
    policy_step: int = 0
    reward_version: int = 0
    repeats: str | None = None

    def __post_init__(self) -> None:
        if self.left.length != self.right.length:
            raise ValueError(
                f"left lasts {self.left.length} steps and right {self.right.length}; a query compares equal lengths"
            )


@dataclass(frozen=True, eq=False)
class Preference:
    """A query with its answer, as the store keeps it.

    Args:
        query: What was asked.
        answer: What was said.
        teacher: Who said it.
        shown_at: When the query was shown, seconds since 1970; None where nobody looked.
        answered_at: When the answer came, likewise.
    """

    query: Query
    answer: Answer
    teacher: str = "oracle"
    shown_at: float | None = None
    answered_at: float | None = None
