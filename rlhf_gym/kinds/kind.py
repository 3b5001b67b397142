"""The interface of a kind of feedback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Choice, Preference, Query, Said
from rlhf_gym.segments import Segment


def options_of(query: Query) -> Sequence[Segment]:
    """Return the options of a query."""
    return query.options


class Kind(NamedTuple):
    """One way of asking: what a query shows, how an answer is written, and which choices it implies.

    Most kinds are answered by the worth of the options (`answer`). If a kind is `alone`, a query's one option is judged
    against segments that the teacher has seen before; if it is `made`, the answer is a segment of the teacher's own.
    """

    options: range
    """How many segments a query may show."""
    parse: Callable[[str, int], Said]
    """Reads the store's text as an answer to a query of K options; ValueError if it isn't one."""
    text: Callable[[Said], str]
    """Writes an answer as text that `parse` reads."""
    answer: Callable[[Sequence[float]], Said] | None
    """Gives an errorless teacher's answer, from the worth of each segment in `weighed`; if `alone`, from the share of
    segments seen before that are worth less, plus half of those worth the same. None if it is `made`."""
    choices: Callable[[Preference, Sequence[Preference]], list[Choice]]
    """Makes the choices that an answer other than SKIP implies, given the teacher's earlier answers to this kind."""
    weighed: Callable[[Query], Sequence[Segment]] = options_of
    """Returns the segments whose worth an errorless teacher has to know."""
    alone: bool = False
    """Whether a query's one option is judged by itself."""
    seconds: Callable[[int], float] = lambda options: 4.0
    """Estimates the seconds of a person's time for an answer to a query of K options, where they aren't measured."""

    @property
    def made(self) -> bool:
        """Whether the answer is a segment that the teacher makes."""
        return self.answer is None

    def said(self, worth: Sequence[float]) -> Said:
        """Give the answer of an errorless teacher.

        Raises:
            BadInput: If the worth of segments doesn't determine it.
        """
        if self.answer is None:
            raise BadInput("the answer is a segment that the teacher makes; worth alone doesn't tell it")
        return self.answer(worth)
