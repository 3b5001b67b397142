"""Limit the time that a block of code may take, in the main thread of a POSIX system."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TookTooLong(BaseException):
    """The time is up. Not an Exception, because code that retries after any of those would swallow it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TookTooLong if the code inside the `with` takes longer, as soon as it returns to Python.

    In other threads, and without POSIX signals, there is no limit.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
