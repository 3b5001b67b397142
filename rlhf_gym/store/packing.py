"""Arrays as bytes, and back, bit for bit: a line of JSON that says what they are, and then their memory.

Equal arrays of equal dtypes give equal bytes, in this version of the tables and for good: names of segments hang on it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np

from rlhf_gym.segments import Array


class Damaged(ValueError):
    """Bytes that hold no arrays."""


def pack(arrays: Mapping[str, Array], what: str) -> bytes:
    """Arrays by name as bytes; integers that fit in one byte each take no more.

    Args:
        arrays: Of booleans, integers or floats of up to 64 bits.
        what: Whose they are, for an error message.

    Raises:
        ValueError: If an array has another dtype.
    """
    described, parts = [], []
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise ValueError(
                f"{name} of the {what} are {array.dtype}; the store keeps booleans, integers and floats of up to 64 "
                "bits: convert them"
            )
        kept = _narrowed(array.astype(array.dtype.newbyteorder("<"), copy=False))
        described.append([name, array.dtype.newbyteorder("<").str, kept.dtype.str, array.shape])
        parts.append(kept.tobytes())
    return b"".join([json.dumps(described).encode(), b"\n", *parts])


def unpack(packed: bytes) -> dict[str, Array]:
    """What :func:`pack` was given, read-only.

    Raises:
        Damaged: If the bytes hold no arrays.
    """
    try:
        start = packed.index(b"\n") + 1
        arrays = {}
        for name, dtype, kept, shape in json.loads(packed[:start]):
            n = math.prod(shape)
            array = np.frombuffer(packed, kept, n, start).reshape(shape)
            start += array.nbytes
            arrays[name] = array.astype(dtype, copy=False)
            arrays[name].setflags(write=False)
    except (ValueError, TypeError) as error:
        raise Damaged(f"arrays can't be read ({error})") from error
    return arrays


def _narrowed(array: Array) -> Array:
    """Most actions are 0 or 1, in 64 bits."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize == 1:
        return array
    small: Array = array.astype(np.int8)
    return small if (small == array).all() else array
