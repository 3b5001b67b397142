"""Kinds of feedback: what a query shows, how it is answered, and what an answer tells the likelihood."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds.kind import Kind
from rlhf_gym.preferences import HELDOUT, Answer, Choice, Preference, Query, Said
from rlhf_gym.registry import check_is, load


@cache
def find_kind(name: str) -> Kind:
    """Look a kind up by its name.

    Raises:
        BadInput: If there is none of that name.
    """
    kind: Kind = load("kind", name)
    check_is("kind", name, kind, Kind, "a Kind")
    return kind


def check_query(query: Query) -> None:
    """Hold a query against its kind.

    Raises:
        BadInput: If there is no such kind, or it shows another number of options.
    """
    shows = find_kind(query.kind).options
    if len(query.options) not in shows:
        wanted = " to ".join(map(str, dict.fromkeys((shows[0], shows[-1]))))
        raise BadInput(f"query {query.id!r} has {len(query.options)} options; a {query.kind} shows {wanted}")


def answer_text(answer: Said, *, kind: str, options: int, query_id: str) -> str:
    """Write an answer as text, having held it against the kind of the query that it is given to.

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
    """Turn answers into the choices to fit; skipped queries imply none, and held-out ones are left out."""
    return [
        choice
        for preference in preferences
        if preference.answer is not Answer.SKIP and preference.query.why != HELDOUT
        for choice in find_kind(preference.query.kind).choices(preference)
    ]


__all__ = ["Kind", "answer_text", "check_query", "choices", "find_kind"]
