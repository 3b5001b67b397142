"""Runs on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import Any

from rlhf_gym.sweeps.fresh_process import end_all


def locally(todo: Sequence[Any], execute: Callable[[Any], Any], *, jobs: int) -> Iterator[tuple[Any, Any | Exception]]:
    """Do jobs in threads that each wait for a process; one at a time keeps their order.

    If the caller is stopped or fails before all have ended, the processes are terminated.
    """
    pool = ThreadPoolExecutor(jobs)
    futures: dict[Future[Any], Any] = {}
    try:
        futures |= {pool.submit(execute, job): job for job in todo}
        for future in futures if jobs == 1 else as_completed(futures):
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield futures[future], error or future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)  # first, or another job would begin where one ends
        waiting = threading.Thread(target=pool.shutdown)  # it knows also of a job whose future isn't in `futures` yet
        waiting.start()
        while waiting.is_alive():  # a job may be about to begin its process
            end_all()
            waiting.join(0.1)
        raise
    finally:
        pool.shutdown()
