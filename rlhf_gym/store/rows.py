"""Queries as rows of a database, and back, bit for bit."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from safetensors.numpy import load, save
from sqlalchemy import Row

from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.segments import Origin, Segment
from rlhf_gym.store.answers import GivenAnswer

ARRAYS = ("observations", "actions", "rewards", "earlier_actions")


def query_to_row(query: Query) -> dict[str, Any]:
    """A row that needs nothing else: both segments with their arrays, and why the query was asked.

    Raises:
        ValueError: If an array's dtype or an episode's origin can't be written.
    """
    return {
        "id": query.id,
        "why": query.why,
        "value": float(query.value),
        "policy_step": int(query.policy_step),
        "reward_version": int(query.reward_version),
        "length": int(query.left.length),
        "repeats": query.repeats,
        **_segment_to_row(query.left, "left"),
        **_segment_to_row(query.right, "right"),
    }


def row_to_query(row: Row[Any]) -> Query:
    """What :func:`query_to_row` was given; arrays are read-only."""
    return Query(
        (
            _row_to_segment(row.length, row.left_arrays, row.left_terminated, row.left_origin),
            _row_to_segment(row.length, row.right_arrays, row.right_terminated, row.right_origin),
        ),
        id=row.id,
        why=row.why,
        value=math.nan if row.value is None else row.value,
        policy_step=row.policy_step,
        reward_version=row.reward_version,
        repeats=row.repeats,
    )


def row_to_preference(row: Row[Any]) -> Preference:
    """From the row of a query and that of an answer, side by side."""
    return Preference(
        query=row_to_query(row),
        answer=Answer(row.answer),
        teacher=row.who,
        shown_at=row.shown_at,
        answered_at=row.answered_at,
    )


def row_to_given_answer(row: Row[Any]) -> GivenAnswer:
    """From the row of an answer."""
    answer = None if row.answer is None else Answer(row.answer)
    return GivenAnswer(row.query_id, row.who, answer, row.shown_at, row.answered_at)


def origin_to_json(origin: Origin) -> str:
    """As text, for a database's own JSON type may refuse infinity, which environments take as a bound."""
    fields = {
        "env_id": origin.env_id,
        "seed": int(origin.seed),
        "env_kwargs": dict(origin.env_kwargs),
        "fixed_horizon": origin.fixed_horizon,
    }
    try:
        return json.dumps(fields)
    except TypeError as error:
        raise ValueError(
            f"env_kwargs {dict(origin.env_kwargs)} can't be stored: {error}; use numbers, text, lists and mappings"
        ) from error


def origin_from_json(text: str) -> Origin:
    """What :func:`origin_to_json` was given."""
    return Origin(**json.loads(text))


def _segment_to_row(segment: Segment, side: str) -> dict[str, Any]:
    arrays = {name: np.ascontiguousarray(getattr(segment, name)) for name in ARRAYS}
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise ValueError(
                f"{name} of the {side} segment are {array.dtype}; the store keeps booleans, integers and floats "
                f"of up to 64 bits: convert them"
            )
    return {
        f"{side}_arrays": save(arrays),
        f"{side}_terminated": bool(segment.terminated),
        f"{side}_origin": None if segment.origin is None else origin_to_json(segment.origin),
    }


def _row_to_segment(length: int, packed: bytes, terminated: bool, origin: str | None) -> Segment:
    arrays = load(packed)
    for array in arrays.values():
        array.setflags(write=False)
    return Segment(
        **arrays,
        length=length,
        terminated=terminated,
        origin=None if origin is None else origin_from_json(origin),
    )
