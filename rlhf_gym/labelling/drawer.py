"""The drawing process: started when it is first needed, and again whenever it has died."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from rlhf_gym.labelling.drawing import drawing_process

LAST_WORDS = 300  # characters


class DrawerDied(Exception):
    """The process ended while it drew.

    Args:
        times: How often in a row it did, with nothing finished in between.
        words: The end of what the last one said, in one line.
    """

    def __init__(self, times: int, words: str) -> None:
        super().__init__(times, words)
        self.times, self.words = times, words


class Drawer:
    """Run drawing jobs one by one in a process of low priority. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._deaths, self._words, self._said = 0, "", Path()

    def submit(self, draw: Callable[[], None]) -> Future[None]:
        """Queue a drawing job; its exception is :class:`DrawerDied` if the process died of it.

        Args:
            draw: Can be pickled, as the process is spawned.
        """
        drawn: Future[None] = Future()
        for _ in range(2):
            pool = self._running()
            try:
                drawing = pool.submit(draw)
            except BrokenProcessPool:  # it has died a moment ago
                self._bury(pool)
            else:
                drawing.add_done_callback(partial(self._pass_on, pool, drawn))
                return drawn
        drawn.set_exception(DrawerDied(self._deaths, self._words))
        return drawn

    def close(self) -> None:
        """Stop drawing; harmless if done twice."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)
            self._said.unlink(missing_ok=True)

    def _running(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                file, name = tempfile.mkstemp(prefix="rlhf_gym_drawer_")
                os.close(file)
                self._said = Path(name)
                # Spawned, not forked: this process has threads, and may have an OpenGL context.
                self._pool = ProcessPoolExecutor(
                    1, mp_context=get_context("spawn"), initializer=drawing_process, initargs=(name,)
                )
            return self._pool

    def _pass_on(self, pool: ProcessPoolExecutor, drawn: Future[None], done: Future[None]) -> None:
        """What came of a drawing, after the death has been counted, if that is what came."""
        if done.cancelled():
            drawn.cancel()
        elif isinstance(done.exception(), BrokenProcessPool):
            self._bury(pool)
            drawn.set_exception(DrawerDied(self._deaths, self._words))
        else:
            with self._lock:
                self._deaths = 0
            if (error := done.exception()) is not None:
                drawn.set_exception(error)
            else:
                drawn.set_result(None)

    def _bury(self, pool: ProcessPoolExecutor) -> None:
        """Count a death, once however many drawings it ended."""
        with self._lock:
            if self._pool is pool:
                self._pool, self._deaths = None, self._deaths + 1
                with suppress(OSError):
                    self._words = " ".join(self._said.read_text(errors="replace").split())[-LAST_WORDS:]
                self._said.unlink(missing_ok=True)
