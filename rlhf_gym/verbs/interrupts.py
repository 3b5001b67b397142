"""Signals that end a run: they interrupt it as Ctrl-C does, so that files, page and terminal are left in order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

SIGNALS = ("SIGTERM", "SIGHUP")  # of a scheduler or shutdown, and of a closed terminal; Windows has no SIGHUP


class Interrupted(KeyboardInterrupt):
    """The end of a run by Ctrl-C or another signal.

    Args:
        message: Text to print.
        status: Exit status of the process: 128 plus the signal's number, as in shells.
    """

    def __init__(self, message: str = "", status: int = 128 + signal.SIGINT) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Raise :class:`Interrupted` on each of SIGNALS; one that is ignored, as under nohup, stays ignored."""

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(status=128 + number)

    with ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():  # only it may set signal handlers
            for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, interrupt)
                    stack.callback(signal.signal, number, signal.SIG_DFL)
        yield
