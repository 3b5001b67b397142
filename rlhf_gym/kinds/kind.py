"""The interface of a kind of feedback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rlhf_gym.preferences import Choice, Preference, Said


class Kind(NamedTuple):
    """One way of asking: what a query shows, how an answer is written, and which choices it implies."""

    options: range
    """How many segments a query may show."""
    parse: Callable[[str, int], Said]
    """From the store's text, for a query of K options; ValueError where it is no answer to one."""
    text: Callable[[Said], str]
    """What `parse` reads."""
    answer: Callable[[Sequence[float]], Said]
    """What an errorless teacher says, given what each of the K options is worth."""
    choices: Callable[[Preference], list[Choice]]
    """What an answer other than SKIP tells the likelihood."""
