"""Clips of queries, drawn ahead by separate processes and kept on disk up to a size limit."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from rlhf_gym.errors import BadInput
from rlhf_gym.labelling.drawer import Drawer
from rlhf_gym.labelling.drawing import MANIFEST, draw_clip
from rlhf_gym.labelling.drawing_process import DrawerDied, DrawerLate, NotWritten
from rlhf_gym.labelling.states import can_plot
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Array

DRAW = ("auto", "replay", "states")
JPEG_END = b"\xff\xd9"
DEATHS = 3  # of the drawing process, in a row or on one clip, after which the clip is refused
AGAIN_AFTER = 5.0  # seconds after a clip couldn't be written, as on a full disk
INSTEAD = "--draw states plots the observations instead (frames aren't recorded while training)"


class ClipError(BadInput):
    """No clip of a query can be shown; the message says why in one line.

    Args:
        told: The reason as anybody may read it.
        details: Details for this machine's users alone, because they may name files.
    """

    def __init__(self, told: str, details: str = "") -> None:
        super().__init__(" ".join((f"{told}: {details}" if details else told).split()))
        self.told, self.details = told, details


class ClipNotReady(ClipError):
    """The clip is still being drawn, or has to be requested again."""


@dataclass(frozen=True)
class Clip:
    """The options of a query as files. At each tick of one clock, each shows one picture of its sheet.

    Options have the names that the query gives them: "left" and "right", or letters (`Query.names`).

    Args:
        directory: Where the files are.
        width: Width of a picture, in pixels.
        height: Likewise.
        milliseconds: Length of a tick.
        slowdown: How many times slower than the environment itself.
        columns: By option, the number of pictures in a row of its sheet.
        order: By option, the index of the picture to show at each tick, counted row by row; all have the same length.
        instead: Why observations are plotted although the environment was to be drawn; "" otherwise.
    """

    directory: Path
    width: int
    height: int
    milliseconds: int
    slowdown: float
    columns: dict[str, int]
    order: dict[str, list[int]]
    instead: str = ""

    def sheet(self, option: str) -> Path:
        """Path of all distinct pictures of an option in one JPEG, row by row."""
        return self.directory / f"{option}.jpg"

    def film(self, option: str) -> Path:
        """Path of an option's animated WebP, for any viewer; written if the cache was made with ``films``."""
        return self.directory / f"{option}.webp"

    def frames(self, option: str) -> Array:
        """Read an option's picture at each tick, uint8, shape (ticks, height, width, 3)."""
        with Image.open(self.sheet(option)) as sheet:
            whole = np.asarray(sheet.convert("RGB"))
        rows, columns = whole.shape[0] // self.height, self.columns[option]
        cells = whole.reshape(rows, self.height, columns, self.width, 3).swapaxes(1, 2)
        return cells.reshape(rows * columns, self.height, self.width, 3)[self.order[option]]


class ClipCache:
    """Clips by query, drawn from their recipe (:func:`rlhf_gym.envs.replay`) in processes of low priority.

    Args:
        directory: Where clips are kept; made if it is missing.
        max_bytes: Bytes that they may take; beyond it the least recently used are removed.
        width: Width of a picture, in pixels; rounded to a multiple of 8.
        draw: "replay" draws the environment; "states" plots the observations, for environments that don't replay or
            can't be drawn; "auto" draws a query if possible and plots it otherwise. Or a function from a query to one
            of these.
        films: Write animated WebPs beside the sheets, for people who open files.
        seconds: Seconds that drawing one clip may take before it is given up for the next one.
        processes: Most processes that draw at once if many people wait; None is half the machine's cores, up to 4.

    Raises:
        BadInput: If an argument makes no sense.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        max_bytes: int = 256 * 2**20,
        width: int = 400,
        draw: str | Callable[[Query], str] = "replay",
        films: bool = True,
        seconds: float = 120.0,
        processes: int | None = None,
    ) -> None:
        if not callable(draw) and draw not in DRAW:
            raise BadInput(f"draw is {draw!r}; use one of {', '.join(DRAW)}")
        at_least = (
            ("width", width, 16),
            ("max_bytes", max_bytes, 1),
            ("seconds", seconds, 1),
            ("processes", processes, 1),
        )
        for name, value, least in at_least:
            if value is not None and not value >= least:
                raise BadInput(f"{name} is {value}; use at least {least}")
        self.directory = Path(directory)
        self._draw = draw if callable(draw) else lambda _: draw
        self._settings: dict[str, Any] = {"width": width, "films": films}
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._drawings: dict[Path, Future[None]] = {}
        self._instead: dict[Path, str] = {}
        self._deaths: Counter[Path] = Counter()
        self._damaged: set[Path] = set()
        self._drawer = Drawer(seconds=seconds, processes=processes)

    def ahead(self, queries: Iterable[Query]) -> None:
        """Queue clips to be drawn in this order, and return at once.

        The first comes before all that were queued at later places, because somebody is waiting for it.
        """
        for place, query in enumerate(queries):
            self._drawing(query, place)

    def drawing(self, query: Query) -> Future[None]:
        """Queue one clip; the future is done once :meth:`wait` needn't wait any more, drawn or not."""
        drawing = self._drawing(query)[1]
        if drawing is None:
            drawing = Future()
            drawing.set_result(None)
        return drawing

    def wait(self, query: Query, *, timeout: float = 60.0) -> Clip:
        """Wait for the clip of a query.

        Args:
            query: The query, queued now unless :meth:`ahead` has done so.
            timeout: Seconds.

        Raises:
            ClipNotReady: If it isn't drawn in time.
            ClipError: If it can't be drawn.
        """
        place, drawing = self._drawing(query)
        try:
            if drawing is not None:
                drawing.result(timeout)
        except FutureTimeout as error:
            raise ClipNotReady(f"the clip of query {query.id} isn't ready after {timeout:g} s; ask again") from error
        except CancelledError as error:
            raise ClipError(f"query {query.id} can't be shown, as clips aren't drawn any more") from error
        except Exception as error:
            if isinstance(error, DrawerDied) and max(error.times, self._deaths[place] + 1) < DEATHS:
                raise ClipNotReady(f"the process that drew query {query.id} ended unexpectedly; ask again") from error
            why = self._why(query, error)
            if not isinstance(error, NotWritten) and self._plots_instead(query, place, drawing, why):
                return self.wait(query, timeout=timeout)
            raise why from error
        return self._read(query, place)

    def close(self) -> None:
        """Stop drawing; harmless if done twice. Finished clips stay."""
        self._drawer.close()

    def __enter__(self) -> ClipCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def place(self, query: Query) -> Path:
        """Name the folder of a query's files by a hash of all that they show."""
        seen = hashlib.sha256(repr((query.id, query.left.length, sorted(self._settings_of(query).items()))).encode())
        for segment in query.options:
            seen.update(repr((segment.origin, segment.terminated)).encode())
            for array in (segment.observations, segment.actions, segment.earlier_actions):
                seen.update(repr((array.dtype, array.shape)).encode() + array.tobytes())
        return self.directory / seen.hexdigest()[:32]

    def _drawing(self, query: Query, turn: int | None = None) -> tuple[Path, Future[None] | None]:
        """Find the folder of a query's clip and the future of its drawing, queued if it isn't; None if it is drawn.

        Args:
            query: The query.
            turn: Number of clips that the same person needs first; None keeps its place, or is 0 if it is new.
        """
        place = self.place(query)
        with self._lock:
            if (place / MANIFEST).exists() and self._keeps(query, place):
                for kept in (self._drawings, self._instead, self._deaths):
                    kept.pop(place, None)
                with suppress(OSError):
                    os.utime(place)
                return place, None
            drawing = self._drawings.get(place)
            if drawing is None or _lost(drawing):
                if drawing is not None and _died(drawing):
                    self._deaths[place] += 1
                drawing = self._drawings[place] = self._drawer.submit(self._job(query, place), turn or 0)
            elif turn is not None:
                self._drawer.hurry(drawing, turn)
            return place, drawing

    def _keeps(self, query: Query, place: Path) -> bool:
        """Remove a damaged clip, so that it is drawn again; return False if it was removed. It is tried once."""
        try:
            _read_whole(query, place)
        except (OSError, ValueError, TypeError):
            if place in self._damaged:
                return True
            self._damaged.add(place)
            self._drawings.pop(place, None)
            shutil.rmtree(place, ignore_errors=True)
            return False
        self._damaged.discard(place)
        return True

    def _settings_of(self, query: Query) -> dict[str, Any]:
        return {**self._settings, "draw": self._draw(query)}

    def _job(self, query: Query, place: Path) -> Callable[[], None]:
        settings, why = self._settings_of(query), self._instead.get(place, "")
        if settings["draw"] == "auto":
            settings = settings | {"draw": "states" if why else "replay"}
        return partial(draw_clip, query, place, **settings, max_bytes=self._max_bytes, instead=why)

    def _plots_instead(self, query: Query, place: Path, failed: Future[None] | None, why: ClipError) -> bool:
        """Queue plots of a query that can't be drawn; return False if that isn't wanted, possible, or has failed."""
        if self._settings_of(query)["draw"] != "auto" or not can_plot(query.left.observations):
            return False
        with self._lock:
            if self._drawings.get(place) is failed:
                if place in self._instead:
                    return False
                self._instead[place] = why.told
                self._drawings[place] = self._drawer.submit(self._job(query, place))
        return True

    def _read(self, query: Query, place: Path) -> Clip:
        try:
            return _read_whole(query, place)
        except (OSError, ValueError, TypeError) as error:
            raise ClipError(f"the clip of query {query.id} can't be read", f"{error}; remove {place}") from error

    def _why(self, query: Query, error: Exception) -> ClipError:
        if isinstance(error, DrawerDied):
            told = f"query {query.id} can't be shown, as the process that draws has died {error.times} times in a row"
            said = f"its last words were {error.words!r}" if error.words else "it said nothing"
            return ClipError(f"{told}{self._or_states(query)}", said)
        if isinstance(error, NotWritten):
            told = f"query {query.id} can't be shown just now, as its clip can't be written"
            return ClipError(told, f"{error}; make room in {self.directory}, or let it be written to")
        told, why = f"query {query.id} can't be shown", f"{error}{self._or_states(query)}"
        # Our refusals are ValueErrors, but so are some of MuJoCo's errors, which name the file of a model.
        ours = isinstance(error, (ValueError, DrawerLate)) and not set(why) & set("/\\")
        return ClipError(f"{told}: {why}") if ours else ClipError(told, why)

    def _or_states(self, query: Query) -> str:
        return f"; {INSTEAD}" if self._settings_of(query)["draw"] == "replay" else ""


def _read_whole(query: Query, place: Path) -> Clip:
    """Read a drawn clip.

    Raises:
        OSError, ValueError, TypeError: If a file is missing, or cut off as by a power cut.
    """
    clip = Clip(place, **json.loads((place / MANIFEST).read_text()))
    for name in query.names:
        with clip.sheet(name).open("rb") as sheet:
            sheet.seek(-len(JPEG_END), os.SEEK_END)
            if sheet.read() != JPEG_END:
                raise ValueError(f"{name}.jpg is cut off")
    return clip


def _lost(drawing: Future[None]) -> bool:
    """Test whether to draw a missing clip again: it was cancelled, removed since, its process died, or the disk failed.

    A disk that is full may have room later, so it is tried as often as somebody asks, but not all the time.
    """
    if not drawing.done() or drawing.cancelled():
        return drawing.done()
    error = drawing.exception()
    if isinstance(error, NotWritten):
        return time.monotonic() - error.at >= AGAIN_AFTER
    return error is None or _died(drawing)


def _died(drawing: Future[None]) -> bool:
    """Test whether a finished drawing failed because its process died."""
    return not drawing.cancelled() and isinstance(drawing.exception(), DrawerDied)
