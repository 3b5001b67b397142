"""People as a teacher: the trainer posts queries to the store, and waits for their answers there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import final

from rlhf_gym.preferences import Query, Said
from rlhf_gym.store.preference_store import PreferenceStore
from rlhf_gym.teachers.teacher import Teacher

Waiting = Callable[[], object]
"""Called again and again while answers are missing: a prompt that asks, or a pause."""

pause: Waiting = partial(time.sleep, 0.2)


def saying(line: str) -> Waiting:
    """Make a pause that prints `line`, on how to give answers, to stderr the first time."""
    told: list[str] = []

    def say_and_pause() -> None:
        if not told:
            told.append(line)
            print(f"\n{line}", file=sys.stderr, flush=True)  # a progress bar may be on this line
        pause()

    return say_and_pause


@final
class People(Teacher):
    """Wait for people, who record their answers in the store themselves.

    Args:
        store: Store that the queries are posted to.
        name: Name of the way they answer; every answer in the store has the person's own name.
        waiting: Called repeatedly while answers are missing.
    """

    def __init__(self, store: PreferenceStore, *, name: str = "store", waiting: Waiting = pause) -> None:
        self.name, self._store, self._waiting = name, store, waiting

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        """Wait until every query of the store is answered; of several people's answers, return the last one."""
        self.wait()
        standing: dict[tuple[str, str], Said] = {}
        for said in self._store.answers_since():
            standing.pop((said.query_id, said.person), None)
            if said.answer is not None:
                standing[said.query_id, said.person] = said.answer
        last = {query_id: answer for (query_id, _), answer in standing.items()}
        return [last[query.id] for query in queries]

    def wait(self, *, open_at_most: int = 0) -> None:
        """Wait until at most `open_at_most` queries of the store are open."""
        while len(self._store.open_ids(limit=open_at_most + 1)) > open_at_most:
            self._waiting()

    def wait_for(self, answers: int) -> None:
        """Wait until `answers` of the answers missing now have arrived, or all of them."""
        left = max(0, self._store.counts().awaited - answers)
        while self._store.counts().awaited > left:
            self._waiting()
