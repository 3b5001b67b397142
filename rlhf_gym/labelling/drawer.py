"""The drawing process: started when it is first needed, again whenever it has died, and ended where it hangs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from pathlib import Path
from queue import PriorityQueue

from rlhf_gym.errors import BadInput

LAST_WORDS = 300  # characters
BEGINS_WITHIN, ENDS_WITHIN = 300.0, 3.0  # seconds: importing all that drawing needs; a drawing under way
# A process of multiprocessing's would run the user's script again, whole, where that has no main guard.
RUN = "import sys; sys.path[:] = sys.argv[2:]; from rlhf_gym.labelling.drawing import draw_jobs; draw_jobs(sys.argv[1])"

Job = Callable[[], None]
LAST = -1  # before which no job comes that isn't under way


class DrawerDied(Exception):
    """The process ended while it drew.

    Args:
        times: How often in a row it did, with nothing finished in between.
        words: The end of what the last one said, in one line.
    """

    def __init__(self, times: int, words: str) -> None:
        super().__init__(times, words)
        self.times, self.words = times, words


class DrawerLate(Exception):
    """A drawing took too long, and its process was ended."""


class NotDrawn(Exception):
    """A drawing failed for a reason that isn't ours to give, such as a full disk or a fault of the environment."""


class Drawer:
    """Run drawing jobs one by one in a process of low priority. Safe to use from many threads.

    Args:
        seconds: After which a drawing is given up, that those behind it get their turn.
    """

    def __init__(self, *, seconds: float = 120.0) -> None:
        self._seconds = seconds
        self._turns: PriorityQueue[tuple[int, int, Future[None] | None]] = PriorityQueue()
        self._waiting: dict[Future[None], tuple[int, Job]] = {}
        self._numbers = count()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._said, self._deaths, self._closed = Path(), 0, False

    def submit(self, draw: Job, place: int = 0) -> Future[None]:
        """Queue a drawing job.

        Args:
            draw: Can be pickled, as another process does it.
            place: Jobs of a lower one come first, and of the same in the order in which they came.

        Returns:
            What comes of it. Its exception is :class:`BadInput` if the query can't be drawn, :class:`DrawerDied` if the
            process died of it, :class:`DrawerLate` if it took too long, and :class:`NotDrawn` for any other fault.
        """
        drawn: Future[None] = Future()
        with self._lock:
            if self._closed:
                drawn.cancel()
                return drawn
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="drawer", daemon=True)
                self._thread.start()
            self._queue(drawn, draw, place)
        return drawn

    def hurry(self, drawn: Future[None], place: int) -> None:
        """Let a job come at a lower place than it was queued at; nothing if it is under way, or that is no sooner."""
        with self._lock:
            before, draw = self._waiting.get(drawn, (place, None))
            if draw is not None and place < before:
                self._queue(drawn, draw, place)

    def close(self) -> None:
        """Stop drawing; harmless if done twice."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
            waiting = list(self._waiting)
            self._waiting.clear()
        if thread is None:
            return
        for drawn in waiting:
            drawn.cancel()
        self._turns.put((LAST, 0, None))
        thread.join(ENDS_WITHIN)
        if thread.is_alive():  # it draws, or hangs
            self._kill()
            thread.join()

    @property
    def pid(self) -> int | None:
        """The process that draws; None if there is none just now."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def _queue(self, drawn: Future[None], draw: Job, place: int) -> None:
        self._waiting[drawn] = (place, draw)
        self._turns.put((place, next(self._numbers), drawn))

    def _work(self) -> None:
        while (drawn := self._turns.get()[-1]) is not None:
            with self._lock:
                _, draw = self._waiting.pop(drawn, (0, None))
            if draw is None or not drawn.set_running_or_notify_cancel():  # it came sooner, or is given up
                continue
            try:
                self._draw(draw)
            except Exception as error:
                drawn.set_exception(error)
            else:
                drawn.set_result(None)
        self._end()

    def _draw(self, draw: Job) -> None:
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
            raise (BadInput if told["ours"] else NotDrawn)(told["why"])

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
        """Send a job, and take the line that answers it; empty where the process has ended, or is ended as too late."""
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

    def _kill(self) -> None:
        if (process := self._process) is not None:
            process.kill()

    def _bury(self, *, late: bool) -> Exception:
        """Count a death, unless it was ours to give; returns what to tell of it."""
        words = ""
        with suppress(OSError):
            words = " ".join(self._said.read_text(errors="replace").split())[-LAST_WORDS:]
        self._kill()
        self._end()
        if late:
            return DrawerLate(f"drawing it took longer than {self._seconds:g} s")
        self._deaths += 1
        return DrawerDied(self._deaths, words)

    def _end(self) -> None:
        """Let the process go, and what it has said."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(OSError):
                process.communicate()
            with suppress(OSError):
                self._said.unlink(missing_ok=True)
