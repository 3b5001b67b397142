"""The work of the drawing process: write clips, and keep their folder below its size limit."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from PIL import Image

from rlhf_gym.labelling.drawing_process import NotWritten
from rlhf_gym.labelling.pictures import Pace, draw_query, order, sheet
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Segment

MANIFEST = "clip.json"
UNFINISHED = ".drawing-"  # how the name of a clip's folder begins while it is written
GOES_WITHIN = 2.0  # seconds for a drawing under way when the parent ends


def draw_jobs(said: str) -> None:
    """Do the pickled jobs that come on standard input until it ends, and answer each with a line of JSON.

    The first line is "ready". Each answer is null, or an object that says `why` there is no clip, and whose `fault` it
    is, one of :data:`rlhf_gym.labelling.drawing_process.FAULTS`, whose DrawingProcess starts it.

    Args:
        said: Path of the log file that takes the process's output; removed at the end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops this one
    if hasattr(os, "nice"):
        os.nice(5)
    sys.stdout.flush()
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # MuJoCo and SDL write past Python, to where answers would go
    wanted: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
    threading.Thread(target=_read, args=(jobs, wanted, Path(said)), daemon=True).start()
    print("ready", file=answers, flush=True)
    while job := wanted.get():
        print(json.dumps(_done(job)), file=answers, flush=True)
    Path(said).unlink(missing_ok=True)


def _read(jobs: IO[bytes], wanted: SimpleQueue[Callable[[], None] | None], said: Path) -> None:
    """Queue jobs from the parent; end this process `GOES_WITHIN` seconds after the parent closes the input."""
    try:
        while True:
            wanted.put(pickle.load(jobs))
    except EOFError:
        wanted.put(None)
    except Exception:
        traceback.print_exc()
        os._exit(1)
    time.sleep(GOES_WITHIN)
    said.unlink(missing_ok=True)
    os._exit(0)


def _done(job: Callable[[], None]) -> dict[str, Any] | None:
    try:
        job()
    except Exception as error:
        # Our refusals are ValueErrors, but so are some of MuJoCo's errors, which name the file of a model.
        fault = "ours" if isinstance(error, ValueError) else "disk" if isinstance(error, NotWritten) else "other"
        return {"fault": fault, "why": str(error) or type(error).__name__}
    return None


def draw_clip(
    query: Query, place: Path, *, width: int, draw: str, films: bool, max_bytes: int, instead: str = ""
) -> None:
    """Draw all options of a query into the folder `place`, which appears only once it is complete.

    Args:
        query: What to draw.
        place: The folder to make.
        width: Width of a picture, in pixels.
        draw: "replay" draws the environment; "states" plots the observations.
        films: Write animated WebPs beside the sheets.
        max_bytes: Bytes that it and all folders beside it may take.
        instead: Why observations are plotted instead, shown to the person.

    Raises:
        BadInput: If the query can't be drawn.
        NotWritten: If the folder can't be written.
    """
    pace, pictures = draw_query(query, draw=draw, width=width)
    try:
        _write(query, place, pace, pictures, films=films, instead=instead)
    except OSError as error:
        raise NotWritten(str(error)) from error
    prune(place.parent, max_bytes=max_bytes, keep=place)


def _write(
    query: Query,
    place: Path,
    pace: Pace,
    pictures: dict[str, list[Image.Image]],
    *,
    films: bool,
    instead: str,
) -> None:
    """Write a clip's files; see :func:`draw_clip`."""
    options, first = dict(zip(query.names, query.options, strict=True)), pictures[query.names[0]][0]
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=place.parent, prefix=UNFINISHED))
    try:
        columns = {}
        for name, segment in options.items():
            whole, columns[name] = sheet(pictures[name])
            write_sheet(whole, unfinished / f"{name}.jpg")
            if films:
                _write_film(unfinished / f"{name}.webp", pictures[name], segment, pace)
        (unfinished / MANIFEST).write_text(
            json.dumps(
                {
                    "width": first.width,
                    "height": first.height,
                    "milliseconds": pace.milliseconds,
                    "slowdown": pace.slowdown,
                    "columns": columns,
                    "order": {name: order(segment, pace) for name, segment in options.items()},
                    "instead": instead,
                }
            )
        )
        _sync(unfinished)
        with suppress(OSError):  # another process has drawn the same clip meanwhile
            unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _sync(directory: Path) -> None:
    """Make files safe from a power cut, which would otherwise leave a renamed folder with empty files."""
    for path in directory.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def write_sheet(whole: Image.Image, path: Path) -> None:
    """Write a JPEG without chroma subsampling, which would bleed colours from one picture into the next."""
    whole.save(path, quality=78, subsampling=0)


def prune(directory: Path, *, max_bytes: int, keep: Path) -> None:
    """Remove the least recently used clips, finished or not, until the rest fits; never `keep`, nor other folders."""
    clips = {place: _age_and_size(place) for place in directory.iterdir() if _is_clip(place)}
    total = sum(size for _, size in clips.values())
    for place in sorted(clips, key=lambda place: clips[place][0]):
        if total <= max_bytes:
            return
        if place != keep:
            shutil.rmtree(place, ignore_errors=True)
            total -= clips[place][1]


def _is_clip(place: Path) -> bool:
    return (place / MANIFEST).is_file() or (place.name.startswith(UNFINISHED) and place.is_dir())


def _age_and_size(place: Path) -> tuple[float, int]:
    try:
        return place.stat().st_mtime, sum(file.stat().st_size for file in place.iterdir())
    except OSError:  # just removed by another process
        return 0.0, 0


def _write_film(path: Path, pictures: list[Image.Image], segment: Segment, pace: Pace) -> None:
    runs = [(number, len(list(same))) for number, same in itertools.groupby(order(segment, pace))]
    first, *others = [pictures[number] for number, _ in runs]
    durations = [ticks * pace.milliseconds for _, ticks in runs]
    # The quickest method; with others, the film takes about as long as the drawing.
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, method=0, quality=75)
