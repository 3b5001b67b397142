"""The interface of a kind of feedback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Choice, Preference, Query, Said
from rlhf_gym.segments import Segment


def options_of(query: Query) -> Sequence[Segment]:
    """List what a query shows."""
    return query.options


class Kind(NamedTuple):
    """One way of asking: what a query shows, how an answer is written, and which choices it implies.

    Most kinds are answered by what the options are worth (`answer`). A query of one option that is `alone` is judged
    against what the teacher has seen before; to one that is `made` the answer is a segment of the teacher's own.
    """

    options: range
    """How many segments a query may show."""
    parse: Callable[[str, int], Said]
    """From the store's text, for a query of K options; ValueError where it is no answer to one."""
    text: Callable[[Said], str]
    """What `parse` reads."""
    answer: Callable[[Sequence[float]], Said] | None
    """What an errorless teacher says, given what each that is `weighed` is worth; or, `alone`, the share of the
    segments seen before that are worth less, one half of those that are worth the same. None if it is `made`."""
    choices: Callable[[Preference, Sequence[Preference]], list[Choice]]
    """What an answer other than SKIP tells the likelihood, given those that the same teacher gave before to queries of
    the same kind."""
    weighed: Callable[[Query], Sequence[Segment]] = options_of
    """The segments that an errorless teacher has to know the worth of."""
    alone: bool = False
    """Whether a query's one option is judged by itself."""
    seconds: Callable[[int], float] = lambda options: 4.0
    """What an answer to a query of K options costs of a person's time, in seconds, where that isn't measured."""

    @property
    def made(self) -> bool:
        """Whether the answer is a segment that the teacher makes."""
        return self.answer is None

    def said(self, worth: Sequence[float]) -> Said:
        """Give the answer of an errorless teacher.

        Raises:
            BadInput: If it isn't told by what segments are worth.
        """
        if self.answer is None:
            raise BadInput("the answer is a segment that the teacher makes; worth alone doesn't tell it")
        return self.answer(worth)
