"""The interface of executors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol


class Executor(Protocol):
    """Does jobs, some at a time, and yields each as it ends, with its result or its error."""

    def __call__(
        self, todo: Sequence[Any], execute: Callable[[Any], Any], *, jobs: int
    ) -> Iterator[tuple[Any, Any | Exception]]:
        """Do the jobs.

        Args:
            todo: The jobs, in the order in which they are begun.
            execute: Does one job.
            jobs: Jobs at the same time.
        """
