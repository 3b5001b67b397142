"""The wall time of a run, by part."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import final


@final
class Stopwatch:
    """Wall time since the start, in total and by part.

    Args:
        parts: Seconds spent on each part before.
        seconds: Seconds before, in total.
    """

    def __init__(self, parts: Mapping[str, float] | None = None, seconds: float = 0.0) -> None:
        self._started = time.perf_counter() - seconds
        self.parts = defaultdict[str, float](float, parts or {})

    @property
    def seconds(self) -> float:
        """Seconds in total: since the stopwatch was made, and before."""
        return time.perf_counter() - self._started

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Count the time inside the `with` towards a part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.parts[part] += time.perf_counter() - started
