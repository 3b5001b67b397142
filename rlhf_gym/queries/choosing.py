"""Choosing queries out of a uniform sample of candidates."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query
from rlhf_gym.queries.planned import mix
from rlhf_gym.queries.sampling import Groups, candidates_of
from rlhf_gym.queries.schemes.scheme import Scheme
from rlhf_gym.segments import Array, Trajectory


def choose_queries(
    trajectories: Sequence[Trajectory],
    *,
    length: int,
    n: int,
    scheme: Scheme | None,
    candidates_per_query: int,
    rng: np.random.Generator,
    name: str = "uniform",
    options: int = 2,
    asked: Sequence[Query] = (),
    there: Sequence[Query] | None = None,
    terminated: int = 0,
    **candidates: Any,
) -> list[Query]:
    """Choose the `n` queries most worth asking, out of a uniform sample; none of them was asked before.

    Args:
        trajectories: Source of the segments.
        length: Steps of a segment.
        n: How many queries.
        scheme: Chooses among the candidates; None takes a uniform sample as it comes.
        candidates_per_query: Candidates sampled per query; fewer where there aren't enough.
        rng: Source of the sample.
        name: Name of the scheme, kept in the queries' `why`.
        options: Segments of each query.
        asked: Queries of the run so far.
        there: Those of `asked` that could be drawn again (:class:`AskedBefore`); None takes all of them.
        terminated: Least number of queries with an option that runs into a termination; fewer where there aren't enough
            such windows. The scheme chooses these first, from such queries alone.
        **candidates: `kind`, `step_scores` and `encode`, as :func:`sample_candidates` takes them.

    Raises:
        BadInput: If fewer than `n` queries can be asked, or the scheme chooses others than it should.
    """

    def choose(groups: Groups, n: int) -> list[Query]:
        if n == 0:
            return []
        size = max(n, min(n * candidates_per_query if scheme else n, groups.count))
        sample = candidates_of(groups, size, rng, asked=[*asked, *first], **candidates)
        if scheme is None or size == n:
            return sample.queries()
        indices, values = _checked(scheme(sample, n, rng), n, size, name)
        queries = sample[indices].queries()
        return [replace(query, why=name, value=float(value)) for query, value in zip(queries, values, strict=True)]

    first: list[Query] = []
    there = asked if there is None else there
    ending = Groups(trajectories, length, options, there, terminated=True)
    first = choose(ending, min(n, terminated, ending.count) if terminated else 0)
    others = Groups(trajectories, length, options, [*there, *first])
    return mix(choose(others, n - len(first)), first, rng=rng)


def _checked(chosen: Any, n: int, size: int, name: str) -> tuple[Array, Array]:
    """Check the indices and values that a scheme returned."""
    indices, values = chosen if isinstance(chosen, tuple) and len(chosen) == 2 else (chosen, np.zeros(n))
    indices = np.asarray(indices)
    whole = indices.shape == (n,) and indices.dtype.kind in "iu"
    if not whole or len(set(indices.tolist())) != n or indices.min() < 0 or indices.max() >= size:
        raise BadInput(
            f"query.scheme {name} chose {reprlib.repr(indices.tolist())} of {size} candidates; expected {n} different "
            "indices"
        )
    values = np.asarray(values, np.float64)
    if values.shape != (n,) or not np.isfinite(values).all():
        raise BadInput(f"query.scheme {name} values its choice at {values.tolist()[:10]}; expected {n} finite numbers")
    return indices, values
