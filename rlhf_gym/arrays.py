"""Conversion of arrays to JSON with their dtype and shape, and back, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rlhf_gym.segments import Array

# JSON has no word for these. Any other NaN, of which there are millions, is written as its bits: "0x7fc00001".
_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DTYPES = {
    name: np.dtype(name)
    for name in (
        *("bool", "float16", "float32", "float64"),
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    )
}
_FITTING = {"b": (bool,), "i": (int,), "u": (int,), "f": (int, float, str)}  # what JSON may hold for a kind of dtype


def array_to_json(array: Array) -> dict[str, Any]:
    """Turn an array into a mapping of `dtype`, `shape` and `values`, which are nested lists.

    A float is written as the double it equals, which reads back as the same float. NaN and infinities are texts.
    """
    values = array.astype(object)
    if array.dtype.kind == "f":
        strange = ~np.isfinite(array)
        values[strange] = [_spell(number) for number in array[strange]]
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": values.tolist()}


def array_from_json(content: Any) -> Array:
    """Read what :func:`array_to_json` wrote.

    Raises:
        ValueError: If values don't fill the shape, or don't fit the dtype.
        KeyError: If one of the three is missing.
    """
    shape, values, dtype = content["shape"], content["values"], _DTYPES.get(content["dtype"])
    if dtype is None:
        raise ValueError(f"dtype is {content['dtype']!r}; expected one of {', '.join(_DTYPES)}")
    flat = _flatten(values, shape)
    if wrong := [value for value in flat if type(value) not in _FITTING[dtype.kind]]:
        raise ValueError(f"{wrong[0]!r} is among the values of an array of {dtype}")
    strange = {i: value for i, value in enumerate(flat) if type(value) is str}
    array = _numbers([0 if i in strange else value for i, value in enumerate(flat)] if strange else flat, dtype)
    for i, text in strange.items():
        array[i : i + 1] = _read(text, dtype)
    return array.reshape(shape)


def _flatten(values: Any, shape: Any) -> list[Any]:
    if not isinstance(shape, list) or any(type(size) is not int or size < 0 for size in shape):
        raise ValueError(f"shape is {shape!r}; expected sizes")
    flat = [values]
    for size in shape:
        if any(type(part) is not list or len(part) != size for part in flat):
            raise ValueError(f"values don't fill the shape {shape}")
        flat = [item for part in flat for item in part]
    return flat


def _numbers(values: list[Any], dtype: np.dtype[Any]) -> Array:
    """Make an array of values that suit its dtype; floats are rounded to it."""
    try:
        if dtype.kind == "f":
            with np.errstate(over="raise"):
                return np.array(values, np.float64).astype(dtype)
        if dtype.kind != "b" and values and not _holds(dtype, min(values), max(values)):
            raise OverflowError
    except (OverflowError, FloatingPointError) as error:
        raise ValueError(f"a number is too large for {dtype}") from error
    return np.array(values, dtype)


def _holds(dtype: np.dtype[Any], least: int, most: int) -> bool:
    return bool(np.iinfo(dtype).min <= least and most <= np.iinfo(dtype).max)


def _spell(number: Any) -> str:
    for name, value in _SPECIAL.items():
        if number.tobytes() == number.dtype.type(value).tobytes():
            return name
    return hex(number.view(f"u{number.itemsize}"))


def _read(text: str, dtype: np.dtype[Any]) -> Array:
    if text in _SPECIAL:
        return np.array([_SPECIAL[text]], dtype)
    try:
        bits, unsigned = int(text.removeprefix("0x"), 16), np.dtype(f"u{dtype.itemsize}")
        if not _holds(unsigned, bits, bits):  # NumPy 1 would wrap it around
            raise OverflowError
        return np.array([bits], unsigned).view(dtype)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is among the values of an array of {dtype}") from None
