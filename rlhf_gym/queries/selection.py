"""Which pairs are worth asking about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rlhf_gym.preferences import Query
from rlhf_gym.segments import Array, Trajectory, count_windows, cut_windows


def sample_queries(trajectories: Sequence[Trajectory], *, length: int, n: int, rng: np.random.Generator) -> list[Query]:
    """Draw `n` different pairs of different windows, uniformly over pairs.

    Args:
        trajectories: Where to cut the segments.
        length: Steps of a segment.
        n: How many queries.
        rng: Source of the draw and of the queries' ids.

    Raises:
        ValueError: If there are fewer than `n` pairs.
    """
    counts = count_windows(trajectories, length)
    windows = int(counts.sum())
    pairs = windows * (windows - 1) // 2
    if n > pairs:
        raise ValueError(
            f"{n} queries were to be asked at once, but {windows} segments of segment_length {length} make {pairs} "
            "pairs; use fewer labels, more query.rounds, or more query.first_steps"
        )
    numbers = rng.choice(pairs, size=n, replace=False)
    # Pair k of the triangle 0 <= j < i: i(i-1)/2 <= k. Rounding can put i one off, so it is put right.
    i = ((1 + np.sqrt(1 + 8 * numbers)) / 2).astype(np.int64)
    i -= i * (i - 1) // 2 > numbers
    i += i * (i + 1) // 2 <= numbers
    j = numbers - i * (i - 1) // 2
    swap = rng.random(n) < 0.5  # or the later window would always be on the same side
    left = cut_windows(trajectories, counts, np.where(swap, i, j), length)
    right = cut_windows(trajectories, counts, np.where(swap, j, i), length)
    return [Query((a, b), id=rng.bytes(16).hex()) for a, b in zip(left, right, strict=True)]


def count_pairs(trajectories: Sequence[Trajectory], length: int) -> int:
    """How many different queries :func:`sample_queries` could draw."""
    windows = int(count_windows(trajectories, length).sum())
    return windows * (windows - 1) // 2


def uniform(probabilities: Array) -> Array:
    """All candidates are worth the same."""
    return np.zeros(probabilities.shape[1])


def disagreement(probabilities: Array) -> Array:
    """Standard deviation over members of P(left preferred) (Christiano et al. 2017, section 2.2.4).

    Args:
        probabilities: Shape (M, N).

    Returns:
        Value of each candidate, shape (N,).
    """
    return np.asarray(probabilities.std(axis=0))


SELECTORS: dict[str, Callable[[Array], Array]] = {"uniform": uniform, "disagreement": disagreement}


def best(values: Array, n: int, *, rng: np.random.Generator) -> Array:
    """Indices of the `n` highest values, equal ones in random order."""
    order = rng.permutation(len(values))
    return order[np.argsort(-values[order], kind="stable")[:n]]


def choose_queries(
    trajectories: Sequence[Trajectory],
    *,
    length: int,
    n: int,
    scheme: str,
    candidates_per_query: int,
    probabilities: Callable[[Sequence[Query]], Array],
    rng: np.random.Generator,
) -> list[Query]:
    """The `n` queries most worth asking, out of a uniform sample.

    Args:
        trajectories: Where to cut the segments.
        length: Steps of a segment.
        n: How many queries.
        scheme: A key of `SELECTORS`.
        candidates_per_query: Sampled for each one chosen, as far as there are so many pairs.
        probabilities: Each member's P(left preferred) for some queries, shape (M, N).
        rng: Source of the sample.

    Raises:
        ValueError: If fewer than `n` queries can be asked, or on an unknown scheme.
    """
    if scheme not in SELECTORS:
        raise ValueError(f"scheme is {scheme!r}; use one of {', '.join(SELECTORS)}")
    if n == 0:
        return []
    wanted = n if scheme == "uniform" else n * candidates_per_query
    candidates = sample_queries(
        trajectories, length=length, n=max(n, min(wanted, count_pairs(trajectories, length))), rng=rng
    )
    if len(candidates) == n:
        return candidates
    values = SELECTORS[scheme](probabilities(candidates))
    return [replace(candidates[i], why=scheme, value=float(values[i])) for i in best(values, n, rng=rng)]
