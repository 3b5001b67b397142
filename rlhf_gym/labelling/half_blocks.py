"""Moving pictures in a terminal: a character cell shows two pixels, the upper one as ink and the lower one as paper."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from PIL import Image

from rlhf_gym.segments import Array

RESET = "\x1b[0m"


def half_blocks(frames: Array, *, columns: int, rows: int, true_colour: bool) -> list[list[str]]:
    """Turn frames into lines of text.

    Args:
        frames: uint8, shape (n, height, width, 3).
        columns: Characters of a line.
        rows: Lines.
        true_colour: Write 24-bit colours; otherwise the 256 that nearly every terminal has.

    Returns:
        For each frame its lines, each with escape sequences and ending in a reset.
    """
    small = [Image.fromarray(frame).resize((columns, 2 * rows), Image.Resampling.LANCZOS) for frame in frames]
    pixels = np.array(small, dtype=np.int64)
    colours, kind = (_all_colours(pixels), 2) if true_colour else (_few_colours(pixels), 5)
    return [
        [_line(upper, lower, kind) for upper, lower in zip(picture[::2], picture[1::2], strict=True)]
        for picture in colours.tolist()
    ]


def fit(frames: Array, *, columns: int, rows: int) -> tuple[int, int]:
    """Find the most columns and rows, within those given, that keep the frames' proportions."""
    height, width = frames.shape[1:3]
    scale = min(columns / width, 2 * rows / height)
    return max(1, int(width * scale)), max(1, int(height * scale / 2))


def where_it_moves(frames: Array) -> tuple[slice, slice]:
    """Find the rows and columns in which pixels change, with a margin; at least half of either.

    A terminal has few pixels, so still borders are better left out.

    Args:
        frames: uint8, shape (n, height, width, 3), of everything that is to be cropped alike.
    """
    moves = np.ptp(frames, axis=0).max(axis=-1) > 40  # compression flickers less than that
    return _stretch(moves.any(axis=1)), _stretch(moves.any(axis=0))


def _stretch(moves: Array) -> slice:
    size, where = len(moves), np.flatnonzero(moves)
    if not len(where):
        return slice(0, size)
    first, last = int(where[0]), int(where[-1]) + 1
    half = size // 2
    room = max(size // 20, (half - (last - first) + 1) // 2)
    return slice(max(0, min(first - room, size - half)), min(size, max(last + room, half)))


def _all_colours(pixels: Array) -> Array:
    """Write 24-bit colours for escape sequences, rounded to steps of 8 so that similar pixels share a sequence."""
    texts = np.array([str(min(value, 255)) for value in range(264)])[(pixels + 4) // 8 * 8]
    red, green, blue = np.moveaxis(texts.astype(object), -1, 0)
    return np.asarray(red + ";" + green + ";" + blue)


def _few_colours(pixels: Array) -> Array:
    """Find the nearest of xterm's 256 colours, except the first 16, which every terminal paints its own way."""
    levels = np.array([0, 95, 135, 175, 215, 255])
    steps = np.abs(pixels[..., None] - levels).argmin(axis=-1)
    grey = np.clip((pixels.mean(axis=-1) - 3) // 10, 0, 23).astype(np.int64)
    far = [np.abs(near - pixels).sum(axis=-1) for near in (levels[steps], 8 + 10 * grey[..., None])]
    numbers = np.where(far[1] < far[0], 232 + grey, 16 + steps @ np.array([36, 6, 1]))
    return np.asarray(numbers.astype(str).astype(object))


def _line(upper: list[str], lower: list[str], kind: int) -> str:
    """Compose one line of cells, with one escape sequence for each run of equal cells."""
    cells = []
    for (ink, paper), run in groupby(zip(upper, lower, strict=True)):
        shape = f"\x1b[48;{kind};{paper}m " if ink == paper else f"\x1b[38;{kind};{ink};48;{kind};{paper}m▀"
        cells.append(shape + shape[-1] * (len(list(run)) - 1))
    return "".join(cells) + RESET
