"""A query's clip as lines of text, for one size of a terminal."""

from __future__ import annotations

import numpy as np

from rlhf_gym.labelling.clips import SIDES, Clip
from rlhf_gym.labelling.half_blocks import fit, half_blocks, where_it_moves
from rlhf_gym.labelling.pictures import ended
from rlhf_gym.preferences import Query

GAP = 2
"""Columns between left and right."""
CAPTIONS = {"left": "← left", "right": "→ right"}


class Film:
    """Both sides in step, beside each other; what a tick looks like is worked out when it is first wanted.

    After an ending the picture goes dark and the caption names it: the mark that is part of the clip wouldn't be read
    in so few pixels.

    Args:
        query: What is shown.
        clip: Its clip.
        columns: Most characters of a line.
        rows: Most lines, the captions below the pictures included.
        true_colour: Write 24-bit colours; otherwise 256.
    """

    def __init__(self, query: Query, clip: Clip, *, columns: int, rows: int, true_colour: bool) -> None:
        self._words = {"left": ended(query.left), "right": ended(query.right)}
        self._last = {side: _last_unmarked(clip, side, self._words[side]) for side in SIDES}
        frames = {side: clip.frames(side)[: self._last[side] + 1] for side in SIDES}
        down, across = where_it_moves(np.concatenate([frames["left"], frames["right"]]))
        self._frames = {side: frames[side][:, down, across] for side in SIDES}
        self._true_colour, self._ticks = true_colour, len(clip.order["left"])
        self._columns, self._rows = fit(
            self._frames["left"], columns=max(1, (columns - GAP) // 2), rows=max(1, rows - 1)
        )
        self._lines: dict[int, list[str]] = {}

    def __len__(self) -> int:
        return self._ticks

    def lines(self, tick: int) -> list[str]:
        """What is shown at a tick: equally many lines at each."""
        if tick not in self._lines:
            left, right = (self._side(side, tick) for side in SIDES)
            self._lines[tick] = [one + " " * GAP + other for one, other in zip(left, right, strict=True)]
        return self._lines[tick]

    def _side(self, side: str, tick: int) -> list[str]:
        over = tick > self._last[side]
        frame = self._frames[side][min(tick, self._last[side])]
        drawn = half_blocks(
            (frame * 0.35).astype(np.uint8)[None] if over else frame[None],
            columns=self._columns,
            rows=self._rows,
            true_colour=self._true_colour,
        )[0]
        caption = f"{CAPTIONS[side]}: {self._words[side]}" if over else CAPTIONS[side]
        return [*drawn, caption[: self._columns].ljust(self._columns)]


def _last_unmarked(clip: Clip, side: str, word: str | None) -> int:
    """The last tick before the mark of an ending, which is the last picture of its sheet."""
    order = clip.order[side]
    return order.index(max(order)) - 1 if word else len(order) - 1
