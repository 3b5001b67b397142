"""A command in a process of its own, with one thread."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # the jobs share the cores, not each one all of them
TRIES = 3
STOPPED = {-getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
"""Statuses of a process that somebody wanted to end."""
_running: set[subprocess.Popen[str]] = set()


class ProcessDied(RuntimeError):
    """The process was killed, such as for memory, or told to stop, and said nothing."""


def fresh_process(command: Sequence[str], told: str | None = None, *, folder: Path | None = None) -> str:
    """Run a command in its own process, and return its output; one that is killed is tried again, twice.

    One that is told to stop, as by Ctrl-C, isn't tried again; who stops waiting for it calls :func:`end_all`.

    Args:
        command: Program and arguments.
        told: What it reads from its standard input.
        folder: Where it runs; None is here.

    Raises:
        ProcessDied: If it is killed each time, or told to stop.
        RuntimeError: If it fails; the message is what it said.
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
    """Let the first signal to stop this process, which was begun in such a way, unwind it as Ctrl-C does.

    It then closes its files and removes its folders; further signals, as from a terminal and from who waits, pass.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    signals = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    for each in signals:  # one that is ignored, as in a background job, stays so
        signal.signal(each, stop)


def end_all() -> None:
    """Tell all processes that threads of this one wait for to stop."""
    for process in list(_running):
        with suppress(OSError):
            process.terminate()


def _run(command: Sequence[str], told: str | None, folder: Path | None) -> tuple[int, str, str]:
    """Run a command once; gives its exit status, and what it said on stdout and stderr."""
    pipe = subprocess.PIPE
    given = subprocess.DEVNULL if told is None else pipe
    with subprocess.Popen(
        command, cwd=folder, env=os.environ | ONE_THREAD, stdin=given, stdout=pipe, stderr=pipe, text=True
    ) as process:
        _running.add(process)
        try:
            said, errors = process.communicate(told)
        except BaseException:
            process.kill()
            raise
        finally:
            _running.discard(process)
    return process.returncode, said, errors
