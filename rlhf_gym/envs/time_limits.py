"""A limit to how long a piece of code may take, in the main thread of a POSIX system."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TookTooLong(BaseException):
    """The time is up. No Exception: code that tries again after any of those would swallow it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TookTooLong where the code inside the `with` takes longer, as soon as it is in Python.

    In other threads, and where there are no POSIX signals, it may take as long as it likes.
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
