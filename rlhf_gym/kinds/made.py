"""Answers that are segments made by a teacher, written as text within the answer itself."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from rlhf_gym.arrays import array_from_json, array_to_json
from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.preferences import Answer, Said, Shown
from rlhf_gym.segments import Origin, Segment

ARRAYS = ("observations", "actions", "rewards", "earlier_actions")


def parse(text: str, options: int) -> Said:
    """Read "skip", or a segment as :func:`text` writes it.

    Raises:
        BadInput: If it is neither.
    """
    if text == Answer.SKIP.value:
        return Answer.SKIP
    try:
        content: Any = json.loads(text)
        arrays = {name: array_from_json(content[name]) for name in ARRAYS}
        for array in arrays.values():
            array.setflags(write=False)
        length, terminated, origin = content["length"], content["terminated"], content["origin"]
        if type(length) is not int or type(terminated) is not bool or not isinstance(origin, str | None):
            raise BadInput("its length, termination or origin is of another type")
        origin = None if origin is None else origin_from_json(origin)
        return Shown(Segment(**arrays, length=length, terminated=terminated, origin=origin))
    except UNREADABLE as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
        raise BadInput(f"{text[:60]!r} is no segment: {reason}; show one, or say skip") from error


def text(answer: Said) -> str:
    """Write an answer as JSON that :func:`parse` reads back bit for bit.

    Raises:
        BadInput: If it is neither a segment nor SKIP.
    """
    if answer is Answer.SKIP:
        return Answer.SKIP.value
    if not isinstance(answer, Shown):
        raise BadInput(f"{answer!r} shows nothing; use Shown(segment), or Answer.SKIP")
    segment = answer.segment
    arrays = {name: array_to_json(np.asarray(getattr(segment, name))) for name in ARRAYS}
    origin = None if segment.origin is None else origin_to_json(segment.origin)
    rest = {"length": int(segment.length), "terminated": bool(segment.terminated), "origin": origin}
    return json.dumps({**arrays, **rest}, allow_nan=False, separators=(",", ":"))


def shown(answer: Said, like: Segment) -> Segment:
    """Return an answer's segment, after checking it against one that the query shows.

    Raises:
        BadInput: If it has other shapes, or another nominal length.
    """
    assert isinstance(answer, Shown)  # noqa: S101
    made = answer.segment
    for name in ("observations", "actions"):
        got, wanted = getattr(made, name), getattr(like, name)
        if got.shape[1:] != wanted.shape[1:]:
            raise BadInput(f"what was shown has {name} of shape {got.shape[1:]}; expected {wanted.shape[1:]}")
    if made.length != like.length:
        raise BadInput(f"what was shown has a nominal length of {made.length} steps; expected {like.length}")
    return made


def origin_to_json(origin: Origin) -> str:
    """Turn an origin into text, since a database's own JSON type may refuse the infinity of bounds."""
    fields = {
        "env_id": origin.env_id,
        "seed": int(origin.seed),
        "env_kwargs": dict(origin.env_kwargs),
        "fixed_horizon": origin.fixed_horizon,
    }
    try:
        return json.dumps(fields)
    except TypeError as error:
        raise BadInput(
            f"env_kwargs {dict(origin.env_kwargs)} can't be stored: {error}; use numbers, text, lists and mappings"
        ) from error


def origin_from_json(text: str) -> Origin:
    """Read an origin that :func:`origin_to_json` wrote."""
    return Origin(**json.loads(text))
