"""Arrays as bytes, and back, bit for bit: a line of JSON that describes them, then their memory.

Equal arrays of equal dtypes must always give equal bytes, in later versions too: digests of segments depend on it.
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
"""Names of the dtypes that can be packed."""


class Damaged(ValueError):
    """Stored data that can't be read."""


def pack(arrays: Mapping[str, Array], what: str) -> bytes:
    """Pack arrays by name into bytes; integers that all fit in int8 take one byte each.

    Args:
        arrays: Of booleans, integers or floats of up to 64 bits.
        what: What they belong to, for an error message.

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
    """Return the dtype in little-endian order, and its name; None if it can't be packed."""
    little = dtype.newbyteorder("<")
    return (little, little.str) if dtype.kind in "biuf" and dtype.itemsize <= 8 else None


@lru_cache(maxsize=1024)
def _header(described: tuple[tuple[str, str, str, tuple[int, ...]], ...]) -> bytes:
    """Make the line that describes the arrays, cached because most segments of a run share it."""
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
            if dtype not in _KEPT or kept not in _KEPT:  # an item of another dtype may take any amount of memory
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
