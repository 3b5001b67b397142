"""One drawing process: started on first use, restarted after it died, and killed if it hangs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rlhf_gym.errors import BadInput

LAST_WORDS = 300  # characters
BEGINS_WITHIN = 300.0  # seconds for importing all that drawing needs
# A process of multiprocessing would run the user's whole script again if it has no main guard.
RUN = "import sys; sys.path[:] = sys.argv[2:]; from rlhf_gym.labelling.drawing import draw_jobs; draw_jobs(sys.argv[1])"

Job = Callable[[], None]


class DrawerDied(Exception):
    """The process ended while it drew.

    Args:
        times: Number of deaths in a row, with no drawing finished in between.
        words: The end of the last process's output, in one line.
    """

    def __init__(self, times: int, words: str) -> None:
        super().__init__(times, words)
        self.times, self.words = times, words


class DrawerLate(Exception):
    """A drawing took too long, and its process was killed."""


class NotDrawn(Exception):
    """A drawing failed with an error other than a ValueError, such as a fault of the environment."""


class NotWritten(Exception):
    """A clip was drawn and couldn't be written, as on a full disk.

    Args:
        why: The system's reason.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.at = time.monotonic()
        """When that was."""


FAULTS = {"ours": BadInput, "disk": NotWritten, "other": NotDrawn}
"""What :meth:`DrawingProcess.draw` raises, by what the process says."""


class DrawingProcess:
    """A process of low priority that does one job after the other, for one thread.

    Args:
        seconds: After this time a drawing is given up.
    """

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._said, self._deaths = Path(), 0

    @property
    def pid(self) -> int | None:
        """Process id; None if no process is running."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def draw(self, draw: Job) -> None:
        """Do a job.

        Raises:
            BadInput: If the query can't be drawn.
            DrawerDied: If the process died while drawing.
            DrawerLate: If it took too long.
            NotWritten: If it couldn't be written.
            NotDrawn: For any other fault.
        """
        job, late = pickle.dumps(draw), threading.Event()
        try:
            process = self._process or self._start(late)
            said = self._asked(process, job, self._seconds, late)
        except OSError:
            said = b""
        if not said:
            raise self._bury(late=late.is_set())
        self._deaths = 0
        told = json.loads(said)
        if told is not None:
            raise FAULTS[told["fault"]](told["why"])

    def kill(self) -> None:
        """End the process at once, whatever it does. Safe to call from any thread."""
        if (process := self._process) is not None:
            process.kill()

    def end(self) -> None:
        """Let the process end after its current job, and remove its log."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(OSError):
                process.communicate()
            with suppress(OSError):
                self._said.unlink(missing_ok=True)

    def _start(self, late: threading.Event) -> subprocess.Popen[bytes]:
        log, name = tempfile.mkstemp(prefix="rlhf_gym_drawer_")
        self._said = Path(name)
        command = [sys.executable, "-c", RUN, name, *sys.path]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        finally:
            os.close(log)
        self._asked(self._process, b"", BEGINS_WITHIN, late)
        return self._process

    def _asked(self, process: subprocess.Popen[bytes], job: bytes, seconds: float, late: threading.Event) -> bytes:
        """Send a job and read the line that answers it; empty if the process died, or was killed as too late."""
        assert process.stdin and process.stdout  # noqa: S101
        timer = threading.Timer(seconds, self._give_up, (process, late))
        timer.start()
        try:
            process.stdin.write(job)
            process.stdin.flush()
            return process.stdout.readline()
        finally:
            timer.cancel()

    def _give_up(self, process: subprocess.Popen[bytes], late: threading.Event) -> None:
        late.set()
        process.kill()

    def _bury(self, *, late: bool) -> Exception:
        """Clean up after a process, count its death unless it was killed as late, and return the error to raise."""
        words = ""
        with suppress(OSError):
            words = " ".join(self._said.read_text(errors="replace").split())[-LAST_WORDS:]
        self.kill()
        self.end()
        if late:
            return DrawerLate(f"drawing it took longer than {self._seconds:g} s")
        self._deaths += 1
        return DrawerDied(self._deaths, words)
