"""Preferences as JSON Lines: one self-contained object a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlhf_gym.arrays import array_from_json, array_to_json
from rlhf_gym.errors import BadInput
from rlhf_gym.kinds.made import ARRAYS
from rlhf_gym.preferences import Preference
from rlhf_gym.store.exchange.records import Record, as_format_2, damage, preference_to_record, record_to_preference


class LinesWriter:
    """Writes preferences, one on a line; a context manager.

    Args:
        path: Path of the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, preferences: Iterable[Preference]) -> None:
        """Write a batch."""
        for preference in preferences:
            record = _with_arrays(preference_to_record(preference), array_to_json)
            [record["value"]] = array_to_json(np.array([record["value"]]))["values"]
            self._file.write(json.dumps(record, allow_nan=False) + "\n")

    def __enter__(self) -> LinesWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def read_json_lines(path: Path) -> Iterator[Preference]:
    """Read what :class:`LinesWriter` wrote, in this format or in format 1.

    Raises:
        BadInput: If a line is damaged; the message names the line, and what is wrong.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            with damage(f"line {number} of {path}", "mend the line, or restore the file from a copy"):
                record = _with_arrays(as_format_2(_object(line)), array_from_json)
                value = {"dtype": "float64", "shape": [1], "values": [record["value"]]}
                yield record_to_preference({**record, "value": float(array_from_json(value)[0])})


def _object(line: bytes) -> Record:
    record = json.loads(line, parse_constant=_refuse)
    if not isinstance(record, dict):
        raise TypeError(f"it is {type(record).__name__}; expected an object")
    return record


def _with_arrays(record: Record, change: Callable[[Any], Any]) -> Record:
    options = [
        {**option, **{name: change(option[name]) for name in ARRAYS if name in option}} for option in record["options"]
    ]
    return {**record, "options": options}


def _refuse(name: str) -> None:
    raise BadInput(f"{name} is no JSON")
