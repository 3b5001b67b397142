"""A preference as plain values and arrays under the names that every exported file uses.

Format 2 has `options`, a list of segments, and `kind`. Format 1 had `left` and `right`; it is still read.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import UnionType
from typing import Any, get_args

import numpy as np

from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.kinds import answer_text, check_query, find_kind
from rlhf_gym.kinds.made import ARRAYS, origin_from_json, origin_to_json
from rlhf_gym.preferences import QUERY_FIELDS, Preference, Query
from rlhf_gym.segments import Segment
from rlhf_gym.store.rows import check_number, check_text

Record = dict[str, Any]

PLAIN: dict[str, Any] = {
    "answer": str,
    "teacher": str,
    "shown_at": float | None,
    "answered_at": float | None,
    **QUERY_FIELDS,
    "length": int,
}
"""Fields of a record besides its options, with their types."""
SIDES = ("left", "right")
"""The options of a record of format 1."""
_SEGMENT = {"terminated": bool, "origin": str | None}


def preference_to_record(preference: Preference) -> Record:
    """Turn a preference into a record; segments under `options`, their origins as JSON."""
    query = preference.query
    return {
        "options": [_segment_to_record(segment) for segment in query.options],
        "answer": answer_text(preference.answer, kind=query.kind, options=len(query.options), query_id=query.id),
        **{name: getattr(preference, name) for name in ("teacher", "shown_at", "answered_at")},
        **{name: kind(value) if kind in (int, float) else value for name, kind, value in _fields(query)},
        "length": int(query.options[0].length),
    }


def record_to_preference(record: Record) -> Preference:
    """Turn a record back into the preference.

    Raises:
        KeyError: If a field is missing.
        TypeError: If a field has another type.
        ValueError: If a field has a value that isn't allowed, or an option lacks a field.
    """
    plain = _checked(record, PLAIN)
    options = tuple(
        _record_to_segment(option, plain["length"], f"option {number}")
        for number, option in enumerate(record["options"], start=1)
    )
    query = Query(options, **{name: plain[name] for name in QUERY_FIELDS})
    check_query(query)
    return Preference(
        query,
        answer=find_kind(query.kind).parse(plain["answer"], len(options)),
        **{name: plain[name] for name in ("teacher", "shown_at", "answered_at")},
    )


def as_format_2(record: Record) -> Record:
    """Bring a record of either format to format 2."""
    if SIDES[0] not in record:
        return record
    rest = {name: value for name, value in record.items() if name not in SIDES}
    return {"kind": "comparison", "options": [record[side] for side in SIDES], **rest}


@contextmanager
def damage(what: str, remedy: str = "restore it from a copy") -> Iterator[None]:
    """Turn any error while reading into one line that names the file."""
    try:
        yield
    except (*UNREADABLE, MemoryError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(ascii_only(str(error)).split())
        raise BadInput(f"{what} can't be read: {reason or 'it takes too much memory'}; {remedy}") from error


def ascii_only(text: str) -> str:
    """Escape lone surrogates, which can't be shown or written."""
    return text.encode(errors="backslashreplace").decode()


def _fields(query: Query) -> Iterator[tuple[str, Any, Any]]:
    for name, kind in QUERY_FIELDS.items():
        yield name, kind, getattr(query, name)


def _segment_to_record(segment: Segment) -> Record:
    origin = None if segment.origin is None else origin_to_json(segment.origin)
    arrays = {name: np.asarray(getattr(segment, name)) for name in ARRAYS}
    return {**arrays, "terminated": bool(segment.terminated), "origin": origin}


def _record_to_segment(record: Record, length: int, which: str) -> Segment:
    if missing := [name for name in (*ARRAYS, *_SEGMENT) if name not in record]:
        raise ValueError(f"{which} lacks {', '.join(missing)}")
    plain, arrays = _checked(record, _SEGMENT), {name: record[name] for name in ARRAYS}
    for array in arrays.values():
        array.setflags(write=False)
    origin = None if plain["origin"] is None else origin_from_json(plain["origin"])
    return Segment(**arrays, length=length, terminated=plain["terminated"], origin=origin)


def _checked(record: Record, kinds: dict[str, Any]) -> Record:
    for name, kind in kinds.items():
        allowed = _allowed(kind)
        if type(record[name]) not in allowed:
            shown = reprlib.repr(record[name])
            raise TypeError(f"{name} is {shown}; expected {' or '.join(kind.__name__ for kind in allowed)}")
        _check_value(name, record[name])
    return {name: record[name] for name in kinds}


def _check_value(name: str, value: Any) -> None:
    """Refuse a value that some databases can't store.

    Raises:
        ValueError: Naming the field.
    """
    if isinstance(value, str):
        check_text(name, value)
    if isinstance(value, int):
        check_number(name, value)
    if name in ("shown_at", "answered_at") and value is not None and not math.isfinite(value):
        raise ValueError(f"{name} is {value}; expected seconds since 1970")


def _allowed(kind: Any) -> tuple[type, ...]:
    """List the types allowed for a field; a float may be written as a whole number."""
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return (*kinds, int) if float in kinds else kinds
