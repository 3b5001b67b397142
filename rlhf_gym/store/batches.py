"""Batches of items, so that what goes in or out of a store needn't be in memory all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
AT_ONCE = 1000
"""Preferences in memory at a time, where there may be a million."""


def batches(items: Iterable[Item], size: int = AT_ONCE) -> Iterator[list[Item]]:
    """Split items into lists of `size`; the last may be shorter."""
    coming = iter(items)
    while batch := list(islice(coming, size)):
        yield batch
