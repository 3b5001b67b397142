"""Segments, queries and answers as rows of a database, and back, bit for bit."""

from __future__ import annotations

import hashlib
import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from safetensors.numpy import load
from sqlalchemy import Row

from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.kinds import check_query, find_kind
from rlhf_gym.kinds.made import ARRAYS, origin_from_json, origin_to_json
from rlhf_gym.preferences import QUERY_FIELDS, Preference, Query
from rlhf_gym.segments import Array, Origin, Segment
from rlhf_gym.store.answers import AnswerSince, GivenAnswer
from rlhf_gym.store.packing import Damaged, pack, unpack


def query_to_row(query: Query) -> dict[str, Any]:
    """Make a row of a query without its options; NaN, which SQLite can't hold, becomes None.

    Raises:
        BadInput: If text can't be stored in every database, or a number is beyond 64 bits.
    """
    for name, kind in QUERY_FIELDS.items():
        value = getattr(query, name)
        if isinstance(value, str):
            check_text(f"{name} of query {ascii(query.id)}", value)
        if kind is int:
            check_number(f"{name} of query {ascii(query.id)}", value)
    return {name: _plain(getattr(query, name), kind) for name, kind in QUERY_FIELDS.items()}


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn any error while reading a row into one that names the row.

    Raises:
        Damaged: If the row can't be read.
    """
    try:
        yield
    except UNREADABLE as error:
        raise Damaged(f"{what} can't be read ({error})") from error


def answer_row(
    *, query_id: str, who: str, answer: str | None, shown_at: float | None, answered_at: float | None
) -> dict[str, Any]:
    """Make a row of an answer.

    Raises:
        BadInput: If a name can't be stored in every database, or a time isn't finite.
    """
    check_text("teacher", who)
    for name, when in (("shown_at", shown_at), ("answered_at", answered_at)):
        if when is not None and not math.isfinite(when):
            raise BadInput(f"{name} of the answer to query {query_id!r} is {when}; expected seconds since 1970")
    said = {"query_id": query_id, "who": who, "answer": answer}
    return {**said, "shown_at": _second(shown_at), "answered_at": _second(answered_at)}


def check_text(name: str, text: str) -> None:
    """Refuse text that some databases can't store.

    Raises:
        BadInput: If it contains NUL or a lone surrogate.
    """
    if "\0" in text or text.encode(errors="replace").decode() != text:
        raise BadInput(f"{name} is {ascii(text)}; expected whole characters other than NUL")


def check_number(name: str, number: int) -> None:
    """Refuse a whole number that some databases can't store.

    Raises:
        BadInput: If it is beyond 64 bits.
    """
    if not -(2**63) <= number < 2**63:
        raise BadInput(f"{name} is {reprlib.repr(number)}; expected a number of at most 64 bits")


def row_to_query(row: Row[Any], options: Sequence[Segment]) -> Query:
    """Make the query of a row, with its options."""
    with readable(f"query {row.id!r}"):
        fields = {name: getattr(row, name) for name in QUERY_FIELDS}
        for name, kind in QUERY_FIELDS.items():
            if kind in (int, float) and fields[name] is not None:
                fields[name] = kind(fields[name])
        query = Query(tuple(options), **{**fields, "value": math.nan if row.value is None else fields["value"]})
        check_query(query)
    return query


def row_to_preference(row: Row[Any], query: Query) -> Preference:
    """Make a preference from the row of an answer, and its query."""
    with readable(f"the answer of {row.who!r} to query {query.id!r}"):
        answer = find_kind(query.kind).parse(row.answer, len(query.options))
        return Preference(query, answer, row.who, _second(row.shown_at), _second(row.answered_at))


def row_to_given_answer(row: Row[Any]) -> GivenAnswer:
    """Make a given answer from its row, which includes its query's `kind` and number of `options`."""
    with readable(f"answer {row.number}"):
        return GivenAnswer(row.query_id, row.who, _answer(row), _second(row.shown_at), float(row.answered_at))


def row_to_answer_since(row: Row[Any]) -> AnswerSince:
    """Make a numbered answer from such a row."""
    with readable(f"answer {row.number}"):
        shown_at, answered_at = _second(row.shown_at), float(row.answered_at)
        return AnswerSince(row.number, row.query_id, row.who, _answer(row), shown_at, answered_at)


def segment_to_row(segment: Segment, name: str = "segment", texts: dict[int, str] | None = None) -> dict[str, Any]:
    """Make a row of a segment, keyed by its `digest`: segments that are equal bit for bit share one row.

    Args:
        segment: The segment.
        name: What to call it in an error message.
        texts: Cache of origins as text by `id()`, valid while they live; segments of one episode share an origin.

    Raises:
        BadInput: If an array's dtype or the origin can't be written.
    """
    row = {
        "length": int(segment.length),
        "terminated": bool(segment.terminated),
        "origin": None if segment.origin is None else _origin_text(segment.origin, {} if texts is None else texts),
    }
    digest = hashlib.sha256("{length} {terminated} {origin}\n".format_map(row).encode())
    arrays = pack({key: np.asarray(getattr(segment, key)) for key in ARRAYS}, name)
    digest.update(arrays)
    return {"digest": digest.hexdigest(), "arrays": arrays, **row}


def row_to_segment(row: Any) -> Segment:
    """Make the segment of a row; arrays are read-only."""
    with readable(f"segment {row.digest!r}"):
        return _segment(unpack(row.arrays), row)


def earlier_row_to_segment(row: Any) -> Segment:
    """Make the segment of a row of versions 1 to 3, whose `arrays` are in safetensors; likewise."""
    return _segment(load(row.arrays), row)


def _segment(arrays: Mapping[str, Array], row: Any) -> Segment:
    origin = None if row.origin is None else origin_from_json(row.origin)
    return Segment(**arrays, length=row.length, terminated=bool(row.terminated), origin=origin)


def _origin_text(origin: Origin, texts: dict[int, str]) -> str:
    if id(origin) not in texts:
        texts[id(origin)] = origin_to_json(origin)
    return texts[id(origin)]


def _plain(value: Any, kind: Any) -> Any:
    if kind is float:
        return None if math.isnan(value) else float(value)
    return int(value) if kind is int else value


def _second(when: float | None) -> float | None:
    return None if when is None else float(when)


def _answer(row: Row[Any]) -> Any:
    return None if row.answer is None else find_kind(row.kind).parse(row.answer, row.options)
