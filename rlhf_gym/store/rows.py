"""Segments, queries and answers as rows of a database, and back, bit for bit."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from safetensors.numpy import load
from sqlalchemy import Row

from rlhf_gym.kinds import find_kind
from rlhf_gym.kinds.made import ARRAYS, origin_from_json, origin_to_json
from rlhf_gym.preferences import QUERY_FIELDS, Preference, Query
from rlhf_gym.segments import Array, Origin, Segment
from rlhf_gym.store.answers import AnswerSince, GivenAnswer
from rlhf_gym.store.packing import pack, unpack


def query_to_row(query: Query) -> dict[str, Any]:
    """Make a row of a query without its options; NaN, which SQLite can't hold, becomes None."""
    return {name: _plain(getattr(query, name), kind) for name, kind in QUERY_FIELDS.items()}


def row_to_query(row: Row[Any], options: Sequence[Segment]) -> Query:
    """Make the query of a row, with its options."""
    fields = {name: getattr(row, name) for name in QUERY_FIELDS}
    return Query(tuple(options), **{**fields, "value": math.nan if row.value is None else row.value})


def row_to_preference(row: Row[Any], query: Query) -> Preference:
    """Make a preference from the row of an answer, and its query."""
    answer = find_kind(query.kind).parse(row.answer, len(query.options))
    return Preference(query, answer, row.who, row.shown_at, row.answered_at)


def row_to_given_answer(row: Row[Any]) -> GivenAnswer:
    """Make a given answer from its row, with its query's `kind` and number of `options`."""
    return GivenAnswer(row.query_id, row.who, _answer(row), row.shown_at, row.answered_at)


def row_to_answer_since(row: Row[Any]) -> AnswerSince:
    """Make a numbered answer from its row, likewise."""
    return AnswerSince(row.number, row.query_id, row.who, _answer(row), row.shown_at, row.answered_at)


def segment_to_row(segment: Segment, name: str = "segment", texts: dict[int, str] | None = None) -> dict[str, Any]:
    """Make a row of a segment, named by its `digest`: segments that are equal bit for bit are one row.

    Args:
        segment: Which one.
        name: What to call it in an error message.
        texts: Origins as text, by identity, as long as their objects live; segments of one episode share theirs.

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


def _answer(row: Row[Any]) -> Any:
    return None if row.answer is None else find_kind(row.kind).parse(row.answer, row.options)
