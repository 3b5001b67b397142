"""The priority queue of drawing jobs, and the processes that do them, more of them when many jobs wait."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future
from itertools import count
from queue import PriorityQueue

from rlhf_gym.labelling.drawing_process import DrawingProcess, Job

ENDS_WITHIN = 3.0  # seconds for a drawing under way
MOST_PROCESSES = 4  # unless more are asked for: each takes about 100 MB
JOBS_EACH = 4  # that may wait for each process before another is started; more than one person's clips drawn ahead
LAST = -1  # place of the token that ends a process, ahead of all waiting jobs


def processes_here() -> int:
    """Choose how many processes may draw on this machine: half its cores, and no more than :data:`MOST_PROCESSES`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_PROCESSES, cores // 2))


class Drawer:
    """Run drawing jobs in processes of low priority, the most urgent first. Safe to use from many threads.

    Args:
        seconds: After this time a drawing is given up, so that the next job gets its turn.
        processes: Most processes that draw at once; all but the first start when jobs pile up. None is
            :func:`processes_here`.
    """

    def __init__(self, *, seconds: float = 120.0, processes: int | None = None) -> None:
        self._seconds, self._most = seconds, processes or processes_here()
        self._turns: PriorityQueue[tuple[int, int, Future[None] | None]] = PriorityQueue()
        self._waiting: dict[Future[None], tuple[int, Job]] = {}
        self._numbers = count()
        self._lock = threading.Lock()
        self._working: list[tuple[threading.Thread, DrawingProcess]] = []
        self._closed = False

    def submit(self, draw: Job, place: int = 0) -> Future[None]:
        """Queue a drawing job.

        Args:
            draw: The job; it is pickled, because another process does it.
            place: Jobs with a lower place come first, and those with the same in the order of submission.

        Returns:
            The job's future. Its exception is what :meth:`DrawingProcess.draw` raises; :meth:`close` cancels it.
        """
        drawn: Future[None] = Future()
        with self._lock:
            if self._closed:
                drawn.cancel()
                return drawn
            self._queue(drawn, draw, place)
            if len(self._working) < self._most and len(self._waiting) > JOBS_EACH * len(self._working):
                self._start()
        return drawn

    def hurry(self, drawn: Future[None], place: int) -> None:
        """Move a waiting job to a lower place; do nothing if it is under way, or `place` is no lower."""
        with self._lock:
            before, draw = self._waiting.get(drawn, (place, None))
            if draw is not None and place < before:
                self._queue(drawn, draw, place)

    def close(self) -> None:
        """Stop drawing; harmless if done twice."""
        with self._lock:
            self._closed = True
            working, self._working = self._working, []
            waiting = list(self._waiting)
            self._waiting.clear()
        for drawn in waiting:
            drawn.cancel()
        for _ in working:
            self._turns.put((LAST, next(self._numbers), None))
        until = time.monotonic() + ENDS_WITHIN
        for thread, process in working:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():  # it draws, or hangs
                process.kill()
                thread.join()

    @property
    def pids(self) -> list[int]:
        """Ids of the running processes."""
        return [pid for _, process in self._working if (pid := process.pid) is not None]

    def _queue(self, drawn: Future[None], draw: Job, place: int) -> None:
        self._waiting[drawn] = (place, draw)
        self._turns.put((place, next(self._numbers), drawn))

    def _start(self) -> None:
        process = DrawingProcess(seconds=self._seconds)
        thread = threading.Thread(target=self._work, args=(process,), name="drawer", daemon=True)
        self._working.append((thread, process))
        thread.start()

    def _work(self, process: DrawingProcess) -> None:
        while (drawn := self._turns.get()[-1]) is not None:
            with self._lock:
                _, draw = self._waiting.pop(drawn, (0, None))
            if draw is None or not drawn.set_running_or_notify_cancel():  # hurried and done already, or cancelled
                continue
            try:
                process.draw(draw)
            except Exception as error:
                drawn.set_exception(error)
            else:
                drawn.set_result(None)
        process.end()
