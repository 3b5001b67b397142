"""Kinds of feedback: what a query shows, how it is answered, and which choices an answer implies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds.kind import Kind
from rlhf_gym.preferences import HELDOUT, OWN, Answer, Choice, Preference, Query, Said
from rlhf_gym.registry import KINDS, check_is, load
from rlhf_gym.trust import check_import

REGISTERED = tuple(KINDS)
"""Names of the kinds that need no dotted name."""
NO_CHOICE = "imply no choice (all on one level, for example)"
"""How answers are described that there is nothing to fit to."""


@cache
def find_kind(name: str) -> Kind:
    """Look a kind up by its name.

    Raises:
        BadInput: If there is no such kind, or it is in a module that this user never named, since a query may come from
            anywhere.
    """
    check_import("kind", name, "a query")
    kind: Kind = load("kind", name)
    check_is("kind", name, kind, Kind, "a Kind")
    return kind


def check_query(query: Query) -> None:
    """Check a query against its kind.

    Raises:
        BadInput: If there is no such kind, or it doesn't allow this number of options.
    """
    shows = find_kind(query.kind).options
    if len(query.options) not in shows:
        wanted = " to ".join(map(str, dict.fromkeys((shows[0], shows[-1]))))
        raise BadInput(f"query {query.id!r} has {len(query.options)} options; a {query.kind} shows {wanted}")


def answer_text(answer: Said, *, kind: str, options: int, query_id: str) -> str:
    """Write an answer as text, after checking it against its query's kind.

    Raises:
        BadInput: If it is no answer to a query of that kind with this number of options.
    """
    asked = find_kind(kind)
    try:
        text = asked.text(answer)
        asked.parse(text, options)
    except ValueError as error:
        raise BadInput(
            f"query {query_id!r} is a {kind} of {options} options, and its answer is refused: {error}"
        ) from error
    return text


def choices(preferences: Iterable[Preference]) -> list[Choice]:
    """Turn answers, in order of answering, into the choices to fit; held-out queries imply none."""
    told = Told()
    return [choice for preference in preferences for choice in told.add(preference)]


def seconds(preference: Preference) -> float:
    """Return how many seconds of a person's time an answer took: as measured, or else as its kind estimates.

    A comparison takes 3 to 5 s (Christiano et al. 2017, section 3.2); the other kinds are estimated relative to it.
    """
    query, shown_at, answered_at = preference.query, preference.shown_at, preference.answered_at
    if shown_at is None or answered_at is None:
        return find_kind(query.kind).seconds(len(query.options))
    return max(0.0, answered_at - shown_at)


class Told:
    """Turn answers into choices one by one, as some kinds compare an answer with earlier ones of the same teacher."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], list[Preference]] = defaultdict(list)

    def add(self, preference: Preference) -> list[Choice]:
        """Turn the next answer into choices; a skipped or held-out query implies none."""
        kind, query = find_kind(preference.query.kind), preference.query
        if preference.answer is Answer.SKIP or query.why == HELDOUT:
            return []
        before: list[Preference] = []
        if kind.alone:
            before = self._before[preference.teacher, query.kind]
        own = query.why == OWN
        told = [replace(choice, teacher=preference.teacher, own=own) for choice in kind.choices(preference, before)]
        if kind.alone:
            before.append(preference)
        return told

    def hangs_on(self, preference: Preference) -> bool:
        """Return whether later answers' choices may depend on this one, so that removing it means replaying them."""
        return preference in self._before[preference.teacher, preference.query.kind]


__all__ = ["REGISTERED", "Kind", "Told", "answer_text", "check_query", "choices", "find_kind", "seconds"]
