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
        most: Most games at once.
        idle_seconds: A game not played for this long is ended.
        spare_seconds: The same if there are `most` games and another person begins one.
    """

    def __init__(
        self,
        *,
        rng: np.random.Generator,
        most: int = 8,
        idle_seconds: float = 300.0,
        spare_seconds: float = 30.0,
    ) -> None:
        self._rng, self._most = rng, most
        self._idle_seconds, self._spare_seconds = idle_seconds, spare_seconds
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, person: str, query: Query) -> Game:
        """Begin a new game for a person, and end their previous one.

        Raises:
            BadInput: If the query can't be played.
            NoGame: If others play as many games as are allowed.
        """
        self.end(person)
        self._make_room()
        with self._lock:
            seed = int(self._rng.integers(2**31))
        game = Game(query, seed=seed)
        with self._lock:
            before = self._running.pop(person, None)
            self._running[person] = _Running(query.id, game, time.monotonic())
        _close([before])
        return game

    def find(self, person: str, query_id: str) -> Game:
        """Find the game that a person plays.

        Raises:
            NoGame: If they play none, or one of another query.
        """
        with self._lock:
            gone, running = self._idle(self._idle_seconds), self._running.get(person)
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
            gone = list(self._running.values())
            self._running.clear()
        _close(gone)

    def _make_room(self) -> None:
        with self._lock:
            gone = self._idle(self._idle_seconds)
            if len(self._running) >= self._most:
                gone += self._idle(self._spare_seconds, most=1)
            full = len(self._running) >= self._most
        _close(gone)
        if full:
            raise NoGame(f"{self._most} people are playing just now; begin again in a minute, or skip it")

    def _idle(self, seconds: float, most: int | None = None) -> list[_Running]:
        """Remove and return the games that nobody has played for `seconds`; the `most` longest idle ones."""
        until = time.monotonic() - seconds
        idle = sorted((one.used, person) for person, one in self._running.items() if one.used < until)
        return [self._running.pop(person) for _, person in idle[:most]]


def _close(gone: Iterable[_Running | None]) -> None:
    for running in gone:
        if running:
            running.game.close()
