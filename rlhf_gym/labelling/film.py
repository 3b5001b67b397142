"""A query's clip as lines of text, for one size of a terminal."""

from __future__ import annotations

import numpy as np

from rlhf_gym.labelling.clips import Clip
from rlhf_gym.labelling.half_blocks import fit, half_blocks, where_it_moves
from rlhf_gym.labelling.pictures import ended, passed
from rlhf_gym.labelling.ruler import ruler
from rlhf_gym.preferences import Query

GAP = 2
"""Columns between options."""
CAPTIONS = {"left": "← left", "right": "→ right"}


class Film:
    """All options in step, side by side, or in several rows if that shows them larger.

    The lines of a tick are composed on first use. After an ending the picture goes dark and the caption names it,
    because the clip's own mark would be illegible at this resolution.

    Args:
        query: The query to show.
        clip: Its clip.
        columns: Most characters of a line.
        rows: Most lines, the captions below the pictures included.
        true_colour: Write 24-bit colours; otherwise 256.
        parts: Equal parts of each option, numbered on a line below that also shows the time; 0 leaves it out.
    """

    def __init__(self, query: Query, clip: Clip, *, columns: int, rows: int, true_colour: bool, parts: int = 0) -> None:
        self._names, self._parts = query.names, parts
        self._words = dict(zip(query.names, map(ended, query.options), strict=True))
        self._passed = {
            name: passed(clip.order[name], segment) for name, segment in zip(query.names, query.options, strict=True)
        }
        self._last = {name: _last_unmarked(clip, name, self._words[name]) for name in self._names}
        frames = {name: clip.frames(name)[: self._last[name] + 1] for name in self._names}
        down, across = where_it_moves(np.concatenate(list(frames.values())))
        self._frames = {name: frames[name][:, down, across] for name in self._names}
        self._true_colour, self._ticks = true_colour, len(clip.order[self._names[0]])
        self._across, self._columns, self._rows = self._fit(columns, rows)
        self._lines: dict[int, list[str]] = {}

    def __len__(self) -> int:
        return self._ticks

    def lines(self, tick: int) -> list[str]:
        """Compose the lines of one tick; every tick has the same number of lines."""
        if tick not in self._lines:
            drawn = [self._option(name, tick) for name in self._names]
            bands = [drawn[first : first + self._across] for first in range(0, len(drawn), self._across)]
            self._lines[tick] = [(" " * GAP).join(row) for band in bands for row in zip(*band, strict=True)]
        return self._lines[tick]

    def _fit(self, columns: int, rows: int) -> tuple[int, int, int]:
        """Find the options per row (two share one) that show them largest, and columns and rows of each."""
        n, first, below = len(self._names), self._frames[self._names[0]], 1 + (self._parts > 0)
        fitted = []
        for across in (2,) if n == 2 else range(1, n + 1):
            room = (columns - GAP * (across - 1)) // across, rows // -(-n // across) - below
            fitted.append((across, *fit(first, columns=max(1, room[0]), rows=max(1, room[1]))))
        return max(fitted, key=lambda one: one[1] * one[2])

    def _option(self, name: str, tick: int) -> list[str]:
        over = tick > self._last[name]
        frame = self._frames[name][min(tick, self._last[name])]
        drawn = half_blocks(
            (frame * 0.35).astype(np.uint8)[None] if over else frame[None],
            columns=self._columns,
            rows=self._rows,
            true_colour=self._true_colour,
        )[0]
        line = [ruler(self._columns, self._parts, self._passed[name][tick])] if self._parts else []
        called = CAPTIONS.get(name, name) if len(self._names) > 1 else ""
        caption = ": ".join(filter(None, [called, self._words[name] if over else ""]))
        return [*drawn, *line, caption[: self._columns].ljust(self._columns)]


def _last_unmarked(clip: Clip, name: str, word: str | None) -> int:
    """Find the last tick before the mark of an ending, the sheet's last picture; without an ending, the last tick."""
    order = clip.order[name]
    return order.index(max(order)) - 1 if word else len(order) - 1
