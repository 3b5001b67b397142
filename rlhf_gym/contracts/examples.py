"""Example queries for tests of teachers and stores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import QUERY_FIELDS, Query, content
from rlhf_gym.segments import Array, Origin, Segment


def example_queries(n: int, *, box: bool = False, seed: int = 0, kind: str = "comparison") -> list[Query]:
    """Make queries with whole and terminated segments, observations of shape (4,) and nominal length 5.

    Args:
        n: Number of queries.
        box: Actions are vectors of two numbers rather than 0 or 1.
        seed: Seed of the arrays.
        kind: Kind of feedback; the queries go through its numbers of options in turn.
    """
    shows = find_kind(kind).options
    rng = np.random.default_rng(seed)

    def segment(number: int) -> Segment:
        lived, start = int(rng.integers(1, 6)), int(rng.integers(9))
        actions: Array = rng.integers(2, size=start + lived)
        if box:
            actions = rng.normal(size=(start + lived, 2)).astype(np.float32)
        return Segment(
            observations=rng.normal(size=(lived + 1, 4)).astype(np.float32),
            actions=actions[start:],
            rewards=rng.normal(size=lived),
            length=5,
            terminated=lived < 5,
            earlier_actions=actions[:start],
            origin=Origin("Example-v0", number, {"bounds": [0.5, float("inf")]}, 200) if number % 2 else None,
        )

    return [
        Query(
            tuple(segment(i) for _ in range(shows[i % len(shows)])),
            id=f"{seed}-{i}",
            kind=kind,
            why="example",
            value=i / 3,
            policy_step=i,
            repeats=f"{seed}-{i - 1}" if i % 4 == 3 else None,
        )
        for i in range(n)
    ]


def same_query(one: Query, other: Query) -> bool:
    """Test whether two queries are equal bit for bit, the dtypes and shapes of their arrays included."""
    plain = [[getattr(query, name) for name in QUERY_FIELDS] for query in (one, other)]
    return plain[0] == plain[1] and content(*one.options) == content(*other.options)


def must(met: bool, demand: str) -> None:
    """Raise AssertionError with `demand` if it isn't met; unlike `assert`, under `python -O` too."""
    if not met:
        raise AssertionError(demand)


def refuses(act: Callable[[], object], what: str) -> None:
    """Raise AssertionError unless `act` raises a ValueError of one line."""
    try:
        act()
    except ValueError as error:
        must("\n" not in str(error), f"one line says why {what} is refused")
    else:
        raise AssertionError(f"{what} is refused with a ValueError")
