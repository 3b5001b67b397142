"""Arrays as bytes, and back, bit for bit: a line of JSON that says what they are, and then their memory.

Equal arrays of equal dtypes give equal bytes, in this version of the tables and for good: names of segments hang on it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.segments import Array

_KEPT = {np.dtype(kind).newbyteorder("<").str for kind in "?bBhHiIlLqQefd"}
"""Names of the dtypes that are kept."""


class Damaged(ValueError):
    """Bytes that hold no arrays."""


def pack(arrays: Mapping[str, Array], what: str) -> bytes:
    """Pack arrays by name into bytes; integers that fit in one byte each take no more.

    Args:
        arrays: Of booleans, integers or floats of up to 64 bits.
        what: Whose they are, for an error message.

    Raises:
        BadInput: If an array has another dtype.
    """
    described, parts = [], []
    for name, array in arrays.items():
        if (little := _little(array.dtype)) is None:
            raise BadInput(
                f"{name} of the {what} are {array.dtype}; the store keeps booleans, integers and floats of up to 64 "
                "bits: convert them"
            )
        kept = _narrowed(array.astype(little[0], copy=False))
        described.append((name, little[1], kept.dtype.str, array.shape))
        parts.append(kept.tobytes())
    return b"".join([_header(tuple(described)), *parts])


@lru_cache(maxsize=64)
def _little(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], str] | None:
    """The dtype in the order of bytes that is kept, and its name; None for one that isn't."""
    little = dtype.newbyteorder("<")
    return (little, little.str) if dtype.kind in "biuf" and dtype.itemsize <= 8 else None


@lru_cache(maxsize=1024)
def _header(described: tuple[tuple[str, str, str, tuple[int, ...]], ...]) -> bytes:
    """Write the line that describes the arrays: most segments of a run have the same."""
    return json.dumps(described).encode() + b"\n"


def unpack(packed: bytes) -> dict[str, Array]:
    """Unpack the arrays that :func:`pack` was given, read-only.

    Raises:
        Damaged: If the bytes hold no arrays.
    """
    try:
        start = packed.index(b"\n") + 1
        arrays = {}
        for name, dtype, kept, shape in json.loads(packed[:start]):
            if dtype not in _KEPT or kept not in _KEPT:  # other dtypes may take any memory for each number
                raise ValueError(f"{name} is of {dtype!r}, kept as {kept!r}")
            n = math.prod(shape)
            array = np.frombuffer(packed, kept, n, start).reshape(shape)
            start += array.nbytes
            arrays[name] = array.astype(dtype, copy=False)
            arrays[name].setflags(write=False)
    except UNREADABLE as error:
        raise Damaged(f"arrays can't be read ({error})") from error
    return arrays


def _narrowed(array: Array) -> Array:
    """Narrow integers to one byte where they fit: most actions are 0 or 1, in 64 bits."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize == 1:
        return array
    small: Array = array.astype(np.int8)
    return small if (small == array).all() else array
