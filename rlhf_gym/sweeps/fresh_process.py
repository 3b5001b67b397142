"""A command in a process of its own, with one thread."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # the jobs share the cores, not each one all of them
TRIES = 3
STOPPED = {-getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
"""Statuses of a process that was told to stop."""
_running: set[subprocess.Popen[str]] = set()


class ProcessDied(RuntimeError):
    """The process was killed, such as for lack of memory, or told to stop."""


def fresh_process(command: Sequence[str], told: str | None = None, *, folder: Path | None = None) -> str:
    """Run a command in its own process, and return its output; if it is killed, it is tried twice more.

    If it is told to stop, as by Ctrl-C, it isn't tried again. To stop waiting for it, call :func:`end_all`.

    Args:
        command: Program and arguments.
        told: Text for its standard input.
        folder: Its working folder; None is this process's.

    Raises:
        ProcessDied: If it is killed each time, or told to stop.
        RuntimeError: If it fails; the message is its output.
    """
    for _ in range(TRIES):
        status, said, errors = _run(command, told, folder)
        if status == 0:
            return said
        if status > 0:
            raise RuntimeError((errors or said).strip())
        if status in STOPPED:
            raise ProcessDied(f"its process was stopped, with signal {-status}")
    raise ProcessDied(f"its process was killed {TRIES} times, with signal {-status}")


def stop_in_order() -> None:
    """Make the first SIGINT or SIGTERM raise KeyboardInterrupt in this process, and ignore later ones.

    It then closes its files and removes its folders, even if the terminal and the waiting process both send a signal.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    signals = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    for each in signals:  # one that is ignored, as in a background job, stays so
        signal.signal(each, stop)


@contextmanager
def waiting_for(process: subprocess.Popen[str]) -> Iterator[None]:
    """Let :func:`end_all` terminate a process within this context."""
    _running.add(process)
    try:
        yield
    finally:
        _running.discard(process)


def end_all() -> None:
    """Terminate all processes that threads of this one are waiting for."""
    for process in list(_running):
        with suppress(OSError):
            process.terminate()


def _run(command: Sequence[str], told: str | None, folder: Path | None) -> tuple[int, str, str]:
    """Run a command once, and return its exit status, stdout and stderr."""
    pipe = subprocess.PIPE
    given = subprocess.DEVNULL if told is None else pipe
    with subprocess.Popen(
        command, cwd=folder, env=os.environ | ONE_THREAD, stdin=given, stdout=pipe, stderr=pipe, text=True
    ) as process:
        with waiting_for(process):
            try:
                said, errors = process.communicate(told)
            except BaseException:
                process.kill()
                raise
    return process.returncode, said, errors
