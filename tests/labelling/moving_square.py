"""Clips that nobody draws, which a process imports at once."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np


class Clips:
    """In place of clips: three pictures a side, in which a square moves."""

    def ahead(self, queries):
        pass

    def wait(self, query, *, timeout):
        frames = np.full((3, 30, 40, 3), 255, np.uint8)
        for tick, frame in enumerate(frames):
            frame[10:20, 10 * tick : 10 * tick + 10] = 0
        return SimpleNamespace(
            order={"left": [0, 1, 2], "right": [0, 1, 2]},
            milliseconds=80,
            film=lambda side: Path(f"/clips/{query.id}/{side}.webp"),
            frames=lambda side: frames,
        )
