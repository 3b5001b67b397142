"""A preference as plain values and arrays under the names that every exported file uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.segments import Segment
from rlhf_gym.store.rows import ARRAYS, origin_from_json, origin_to_json

Record = dict[str, Any]

_SEGMENT = {"terminated": (bool,), "origin": (str, type(None))}
_REST = {
    "id": (str,),
    "why": (str,),
    "value": (float, int),
    "policy_step": (int,),
    "reward_version": (int,),
    "repeats": (str, type(None)),
    "length": (int,),
    "answer": (str,),
    "teacher": (str,),
    "shown_at": (float, int, type(None)),
    "answered_at": (float, int, type(None)),
}


def preference_to_record(preference: Preference) -> Record:
    """All that a preference holds; segments under `left` and `right`, their origins as JSON."""
    query = preference.query
    return {
        "left": _segment_to_record(query.left),
        "right": _segment_to_record(query.right),
        "answer": Answer(preference.answer).value,
        "teacher": preference.teacher,
        "shown_at": preference.shown_at,
        "answered_at": preference.answered_at,
        "id": query.id,
        "why": query.why,
        "value": float(query.value),
        "policy_step": int(query.policy_step),
        "reward_version": int(query.reward_version),
        "repeats": query.repeats,
        "length": int(query.left.length),
    }


def record_to_preference(record: Record) -> Preference:
    """What :func:`preference_to_record` was given.

    Raises:
        KeyError: If something is missing.
        TypeError: If something has another type.
        ValueError: If something has a value that it can't have.
    """
    plain = _checked(record, _REST)
    return Preference(
        query=Query(
            tuple(_record_to_segment(record[side], plain["length"]) for side in ("left", "right")),
            **{name: plain[name] for name in ("id", "why", "value", "policy_step", "reward_version", "repeats")},
        ),
        answer=Answer(plain["answer"]),
        **{name: plain[name] for name in ("teacher", "shown_at", "answered_at")},
    )


@contextmanager
def damage(what: str) -> Iterator[None]:
    """Turn whatever goes wrong in reading into one line that names what is read."""
    try:
        yield
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise ValueError(f"{what} is damaged: {reason}; restore it from a copy") from error


def _segment_to_record(segment: Segment) -> Record:
    origin = None if segment.origin is None else origin_to_json(segment.origin)
    arrays = {name: np.asarray(getattr(segment, name)) for name in ARRAYS}
    return {**arrays, "terminated": bool(segment.terminated), "origin": origin}


def _record_to_segment(record: Record, length: int) -> Segment:
    plain, arrays = _checked(record, _SEGMENT), {name: record[name] for name in ARRAYS}
    for array in arrays.values():
        array.setflags(write=False)
    origin = None if plain["origin"] is None else origin_from_json(plain["origin"])
    return Segment(**arrays, length=length, terminated=plain["terminated"], origin=origin)


def _checked(record: Record, kinds: dict[str, tuple[type, ...]]) -> Record:
    for name, allowed in kinds.items():
        if type(record[name]) not in allowed:
            raise TypeError(f"{name} is {record[name]!r}; expected {' or '.join(kind.__name__ for kind in allowed)}")
    return {name: record[name] for name in kinds}
