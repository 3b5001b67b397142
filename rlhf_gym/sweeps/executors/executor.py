"""What an executor is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol


class Executor(Protocol):
    """Do jobs, some at a time, and yield each as it ends, with what it made or the error it ended with."""

    def __call__(
        self, todo: Sequence[Any], execute: Callable[[Any], Any], *, jobs: int
    ) -> Iterator[tuple[Any, Any | Exception]]:
        """Do them.

        Args:
            todo: The jobs, in the order in which they are begun.
            execute: Does one.
            jobs: Jobs at the same time.
        """
