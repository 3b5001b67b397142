"""Games under way: one per person, and a limited number in all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np

from rlhf_gym.labelling.playing import Game, NoGame
from rlhf_gym.preferences import Query


@dataclass
class _Running:
    query_id: str
    game: Game
    used: float


@final
class Games:
    """Games under way, one per person. Safe to use from many threads.

    Args:
        rng: Draws the seeds of demonstrations.
        most: Most games at once; the least recently played ones beyond it are ended.
        idle_seconds: A game not played for this long is ended.
    """

    def __init__(self, *, rng: np.random.Generator, most: int = 8, idle_seconds: float = 300.0) -> None:
        self._rng, self._most, self._idle_seconds = rng, most, idle_seconds
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, person: str, query: Query) -> Game:
        """Begin a new game for a person, and end their previous one.

        Raises:
            BadInput: If the query can't be played.
        """
        with self._lock:
            seed = int(self._rng.integers(2**31))
        self.end(person)
        game = Game(query, seed=seed)
        with self._lock:
            gone = [self._running.pop(person, None), *self._sweep(self._most - 1)]
            self._running[person] = _Running(query.id, game, time.monotonic())
        _close(gone)
        return game

    def find(self, person: str, query_id: str) -> Game:
        """Find the game that a person plays.

        Raises:
            NoGame: If they play none, or one of another query.
        """
        with self._lock:
            gone, running = self._sweep(self._most), self._running.get(person)
            if running:
                running.used = time.monotonic()
        _close(gone)
        if running is None or running.query_id != query_id:
            raise NoGame(f"{person} plays no game of query {query_id!r} any more; begin again")
        return running.game

    def end(self, person: str) -> None:
        """End a person's game, if there is one."""
        with self._lock:
            gone = self._running.pop(person, None)
        _close([gone])

    def close(self) -> None:
        """End all games."""
        with self._lock:
            gone = self._sweep(0)
        _close(gone)

    def _sweep(self, most: int) -> list[_Running | None]:
        """Remove and return idle games, and the least recently played ones above `most`."""
        oldest = sorted(self._running, key=lambda person: self._running[person].used)
        idle = {p for p in oldest if self._running[p].used < time.monotonic() - self._idle_seconds}
        return [self._running.pop(p) for p in dict.fromkeys([*idle, *oldest[: max(0, len(oldest) - most)]])]


def _close(gone: Iterable[_Running | None]) -> None:
    for running in gone:
        if running:
            running.game.close()
