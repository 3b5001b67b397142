"""Runs on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any


def locally(todo: Sequence[Any], execute: Callable[[Any], Any], *, jobs: int) -> Iterator[tuple[Any, Any | Exception]]:
    """Do jobs in threads that each wait for a process; one at a time keeps their order."""
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(execute, job): job for job in todo}
        for future in futures if jobs == 1 else as_completed(futures):
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield futures[future], error or future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # when stopped from the keyboard: start no more
