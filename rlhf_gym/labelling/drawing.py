"""The work of the drawing process: write clips, and keep their folder within its bound."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path

from PIL import Image

from rlhf_gym.labelling.pictures import Pace, draw_query, order, sheet
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Segment

MANIFEST = "clip.json"


def drawing_process(said: str) -> None:
    """Set up the drawing process: low priority, output to a log file, exits with its parent.

    Args:
        said: The log file that takes its output.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops this one
    if hasattr(os, "nice"):
        os.nice(5)
    sys.stdout.flush()
    file = os.open(said, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):  # MuJoCo and SDL write past Python, into whatever the person is looking at
        os.dup2(file, stream)
    threading.Thread(target=_go_with_parent, args=(Path(said),), daemon=True).start()


def draw_clip(query: Query, place: Path, *, width: int, draw: str, films: bool, max_bytes: int) -> None:
    """Draw all options of a query into the folder `place`, which appears only once it is complete.

    Raises:
        BadInput: If the query can't be drawn.
        OSError: If the folder can't be written.
    """
    pace, pictures = draw_query(query, draw=draw, width=width)
    options, first = dict(zip(query.names, query.options, strict=True)), pictures[query.names[0]][0]
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=place.parent, prefix="."))
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
                }
            )
        )
        with suppress(OSError):  # another process has drawn the same clip meanwhile
            unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    prune(place.parent, max_bytes=max_bytes, keep=place)


def write_sheet(whole: Image.Image, path: Path) -> None:
    """Write a JPEG without chroma subsampling, which would bleed colours from one picture into the next."""
    whole.save(path, quality=78, subsampling=0)


def prune(directory: Path, *, max_bytes: int, keep: Path) -> None:
    """Remove the least recently used folders until the rest fits; never `keep`."""
    clips = {place: _age_and_size(place) for place in directory.iterdir() if place.is_dir()}
    total = sum(size for _, size in clips.values())
    for place in sorted(clips, key=lambda place: clips[place][0]):
        if total <= max_bytes:
            return
        if place != keep:
            shutil.rmtree(place, ignore_errors=True)
            total -= clips[place][1]


def _age_and_size(place: Path) -> tuple[float, int]:
    try:
        return place.stat().st_mtime, sum(file.stat().st_size for file in place.iterdir())
    except OSError:  # just removed by another process
        return 0.0, 0


def _write_film(path: Path, pictures: list[Image.Image], segment: Segment, pace: Pace) -> None:
    runs = [(number, len(list(same))) for number, same in itertools.groupby(order(segment, pace))]
    first, *others = [pictures[number] for number, _ in runs]
    durations = [ticks * pace.milliseconds for _, ticks in runs]
    # The quickest method: the film costs about as much as drawing does otherwise.
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0, method=0, quality=75)


def _go_with_parent(said: Path) -> None:
    if parent := parent_process():
        parent.join()
    said.unlink(missing_ok=True)
    os._exit(0)
