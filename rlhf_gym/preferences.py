"""Queries, answers, preferences, and the choices that answers imply."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from string import ascii_lowercase
from types import MappingProxyType
from typing import Any, get_type_hints

from rlhf_gym.segments import Segment


class Answer(Enum):
    """Answer to a comparison; SKIP may answer any query."""

    LEFT = "left"
    RIGHT = "right"
    TIE = "tie"
    SKIP = "skip"

    @property
    def target(self) -> float:
        """Probability that left is preferred, as the likelihood wants it: 1, 0, or 0.5 for a tie."""
        if self is Answer.SKIP:
            raise ValueError("a skipped query has no target; leave it out of the fit")
        return 0.5 if self is Answer.TIE else float(self is Answer.LEFT)

    @property
    def mirrored(self) -> Answer:
        """The same judgement, had the two segments been shown the other way round."""
        return {Answer.LEFT: Answer.RIGHT, Answer.RIGHT: Answer.LEFT}.get(self, self)


@dataclass(frozen=True)
class Ranking:
    """A teacher's ranking of a query's options.

    Args:
        groups: Numbers of the options, the best group first; those of one group are tied, and kept ascending.

    Raises:
        ValueError: If the options aren't each named once, from 0 to K - 1.
    """

    groups: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        named = [option for group in self.groups for option in group]
        if not all(self.groups) or sorted(named) != list(range(len(named))):
            raise ValueError(
                f"a ranking is {[list(group) for group in self.groups]}; expected each option once, from 0 to "
                f"{max(len(named) - 1, 1)}"
            )
        object.__setattr__(self, "groups", tuple(tuple(sorted(group)) for group in self.groups))

    @property
    def mirrored(self) -> Ranking:
        """The same judgement, had the options been shown in reverse."""
        last = self.options - 1
        return Ranking(tuple(tuple(last - option for option in group) for group in self.groups))

    @property
    def options(self) -> int:
        """Number of ranked options, K."""
        return sum(map(len, self.groups))


@dataclass(frozen=True)
class Level:
    """How good one segment is by itself, in the teacher's own measure.

    Args:
        level: From 1, the worst, to `of`.
        of: Number of levels.

    Raises:
        ValueError: If there is no such level.
    """

    level: int
    of: int

    @property
    def mirrored(self) -> Level:
        """The same: one option has no other side."""
        return self

    def __post_init__(self) -> None:
        if not 1 <= self.level <= self.of or self.of < 2:
            raise ValueError(f"a level is {self.level} of {self.of}; expected 1 to {max(self.of, 2)}, of at least 2")


@dataclass(frozen=True)
class Stop:
    """When a segment should have been switched off.

    Args:
        after: Number of parts to live before the switch-off, from 1; `of` means that it isn't switched off.
        of: Number of equal parts that the segment is divided into.

    Raises:
        ValueError: If there is no such part.
    """

    after: int
    of: int

    @property
    def mirrored(self) -> Stop:
        """The same."""
        return self

    def __post_init__(self) -> None:
        if not 1 <= self.after <= self.of:
            raise ValueError(
                f"a segment is switched off after {self.after} of {self.of} parts; expected 1 to {self.of}"
            )


@dataclass(frozen=True, eq=False)
class Shown:
    """A segment that the teacher made, and which is better than those shown.

    Args:
        segment: The teacher's segment.
    """

    segment: Segment

    @property
    def mirrored(self) -> Shown:
        """The same."""
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shown) and content(self.segment) == content(other.segment)

    def __hash__(self) -> int:
        return hash(content(self.segment)[-1])


Said = Answer | Ranking | Level | Stop | Shown
"""An answer to a query of any kind."""


def content(*segments: Segment) -> list[object]:
    """Convert all content of segments to values that `==` compares bit for bit."""
    arrays = [a for s in segments for a in (s.observations, s.actions, s.rewards, s.earlier_actions)]
    return [(s.length, s.terminated, s.origin) for s in segments] + [(a.dtype, a.shape, a.tobytes()) for a in arrays]


REPEAT, MIRRORED, CHECK = "repeat", "mirrored", "check"
"""Reasons for asking (`Query.why`) that are about the teacher and not about the reward.

A repeat names in `Query.repeats` the query that it asks again; so does a mirrored one, whose options are reversed.
A check is a pair whose better side is obvious: the left one if its `Query.value` is above 0.
"""
HELDOUT = "heldout"
"""Reason for asking a query that was drawn uniformly, and whose answer no reward is ever fitted to."""
OWN = "self"
"""Reason for a query that the learned reward answered itself; such an answer is no label."""


def option_names(options: int) -> tuple[str, ...]:
    """Name the options of a query by place: left and right, or letters if there aren't two."""
    return ("left", "right") if options == 2 else tuple(ascii_lowercase[:options])


@dataclass(frozen=True, eq=False)
class Query:
    """Segments that a teacher is asked about, and why.

    Args:
        options: K segments of the same nominal length; a comparison has two, left and right.
        id: Unique name: drawn from the run's own random numbers, and with the run's mark (:func:`marked`).
        kind: Which kind of answer is wanted (:mod:`rlhf_gym.kinds`).
        why: Name of the query scheme that chose it, or another reason, such as REPEAT.
        value: The scheme's value of it, in the scheme's own unit; 0 for uniform.
        policy_step: Environment steps that the policy had been trained for when the query was chosen.
        reward_version: Number of fits of the reward model when the query was chosen.
        repeats: Id of the query that this one repeats on purpose; None if it is no repeat.

    Raises:
        ValueError: If there are no options, or they differ in nominal length.
    """

    options: tuple[Segment, ...]
    id: str
    kind: str = "comparison"
    why: str = "uniform"
    value: float = 0.0
    policy_step: int = 0
    reward_version: int = 0
    repeats: str | None = None

    def __post_init__(self) -> None:
        lengths = [segment.length for segment in self.options]
        if len(set(lengths)) != 1:
            raise ValueError(
                f"the options of a query last {' and '.join(map(str, lengths)) or 'no'} steps; expected at least one "
                "option, all of equal length"
            )

    @property
    def original(self) -> str:
        """Id of the query that this one repeats, or its own."""
        return self.repeats or self.id

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the options by place: left and right, or letters if there aren't two."""
        return option_names(len(self.options))

    @property
    def left(self) -> Segment:
        """The first option."""
        return self.options[0]

    @property
    def right(self) -> Segment:
        """The last option; of a comparison, the second of two."""
        return self.options[-1]


QUERY_FIELDS: Mapping[str, Any] = MappingProxyType(
    {name: kind for name, kind in get_type_hints(Query).items() if name != "options"}
)
"""All that a query holds besides its options, with the type of each: str, float, int, or str | None."""


MARK = "@"


def new_mark() -> str:
    """Make a unique mark for a run, without drawing from the run's own random numbers."""
    return secrets.token_hex(6)


def marked(query: Query, mark: str) -> Query:
    """Append a run's mark to a query's id, unless it has one.

    Runs with the same seed draw the same ids, so their answers can be combined only if ids are marked.
    """
    return query if MARK in query.id else replace(query, id=f"{query.id}{MARK}{mark}")


def drawn_id(id_: str) -> str:
    """Take the part of a query's id that its run drew, the same in each run with its seed and settings."""
    return id_.partition(MARK)[0]


@dataclass(frozen=True, eq=False, slots=True)
class Preference:
    """A query with its answer, as the store keeps it.

    Args:
        query: The query.
        answer: Its answer.
        teacher: Name of the teacher who gave it.
        shown_at: When the query was shown, seconds since 1970; None if nobody looked at it.
        answered_at: When the answer came, likewise.
    """

    query: Query
    answer: Said
    teacher: str = "oracle"
    shown_at: float | None = None
    answered_at: float | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """One Boltzmann choice among segments, to which rewards are fitted (Jeon, Milli & Dragan 2020).

    Args:
        options: The K segments to choose from.
        target: Probability that each was chosen, shape (K,), summing to 1: (1, 0), or (0.5, 0.5) for a tie.
        group: The query's id, as a rule; choices of one group are held out, and weighted by the bootstrap, together.
        weight: Weight in the likelihood, 1 for a whole choice.
        teacher: Name of the teacher who made it; "" if unknown.
        sided: Whether the first option was shown on the left, so that a side bias may have affected the choice.
        own: Whether the learned reward made it itself; such a choice is neither held out nor measured.
    """

    options: tuple[Segment, ...]
    target: tuple[float, ...]
    group: str
    weight: float = 1.0
    teacher: str = ""
    sided: bool = False
    own: bool = False
