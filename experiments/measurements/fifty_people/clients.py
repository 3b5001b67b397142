"""Simulated people at the page: clients that send its script's requests, at a person's pace."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import numpy as np

from experiments.measurements.page_waits import Page

ONE_IN = 50  # one answer in this many is a skip, and one in as many is taken back
SAID = ("left", "right", "tie")


@dataclass(frozen=True, eq=False)
class Tally:
    """What clients recorded; filled by many threads."""

    acknowledged: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    """By person, pairs of query id and answer in the order given; None means that the answer was taken back."""
    answer_ms: list[float] = field(default_factory=list)
    next_ms: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def answers(self) -> int:
        """Number of acknowledged answers, including those taken back."""
        return len(self.answer_ms)


def person(name: str, port: int, pace: tuple[float, float], tally: Tally, over: threading.Event, seed: int) -> None:
    """Answer queries until `over` is set."""
    rng, mine = np.random.default_rng(seed), tally.acknowledged.setdefault(name, [])

    def say(query_id: str, said: str) -> None:
        seconds = float(rng.uniform(*pace))
        over.wait(seconds)
        began = time.perf_counter()
        page.answer(query_id, seconds, said)
        tally.answer_ms.append(1000 * (time.perf_counter() - began))
        mine.append((query_id, said))

    with closing(Page(port, name, left=over)) as page:
        over.wait(float(rng.uniform(*pace)))  # people don't come all in the same second
        while not over.is_set():
            try:
                began = time.perf_counter()
                query_id = page.next()
                if query_id is None:
                    over.wait(1.0)  # as the page does
                    continue
                tally.next_ms.append(1000 * (time.perf_counter() - began))
                say(query_id, "skip" if rng.random() < 1 / ONE_IN else str(rng.choice(SAID)))
                if rng.random() < 1 / ONE_IN and (back := page.undo()):
                    mine.append((back, None))
                    say(back, str(rng.choice(SAID)))
            except OSError as error:  # HTTP errors, and lost connections
                if not over.wait(1.0):
                    tally.refused[str(error)] += 1


@contextmanager
def people(n: int, port: int, pace: tuple[float, float], tally: Tally) -> Iterator[None]:
    """Have n people answer at the page until the context is left."""
    over = threading.Event()
    named = [(f"person {i}", port, pace, tally, over, i) for i in range(n)]
    threads = [threading.Thread(target=person, args=args, name=args[0]) for args in named]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
