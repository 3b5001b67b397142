"""Quality-control queries: repeats, mirrored repeats, and attention checks whose answer is obvious."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit

from rlhf_gym.preferences import CHECK, MIRRORED, REPEAT, Answer, Preference, Query
from rlhf_gym.queries.candidates import StepScores, count_queries, sample_candidates
from rlhf_gym.queries.schemes.scheme import best
from rlhf_gym.segments import Trajectory


def make_repeats(preferences: Sequence[Preference], n: int, *, rng: np.random.Generator) -> list[Query]:
    """Ask answered queries once more, every second one with left and right exchanged.

    A query is repeated once at most; skipped ones, repeats and checks are not repeated.

    Args:
        preferences: What was answered so far.
        n: How many.
        rng: Source of the draw, of the order of plain and mirrored, and of the queries' ids.

    Returns:
        `n` queries, or as many as can be repeated.
    """
    repeated = {preference.query.repeats for preference in preferences}
    plain = {p.query.id: p.query for p in preferences if p.answer is not Answer.SKIP and p.query.why not in _PLANNED}
    left = [query for id_, query in plain.items() if id_ not in repeated]
    drawn = rng.choice(len(left), size=min(n, len(left)), replace=False)
    first_mirrored = int(rng.integers(2))
    return [_again(left[i], (k + first_mirrored) % 2 == 0, id_=rng.bytes(16).hex()) for k, i in enumerate(drawn)]


_PLANNED = {REPEAT, MIRRORED, CHECK}


def _again(query: Query, mirror: bool, *, id_: str) -> Query:
    options = query.options[::-1] if mirror else query.options
    why = MIRRORED if mirror else REPEAT
    return replace(query, options=options, id=id_, why=why, value=0.0, repeats=query.id)


def make_checks(
    trajectories: Sequence[Trajectory],
    *,
    length: int,
    n: int,
    candidates_per_query: int,
    step_scores: StepScores,
    rng: np.random.Generator,
) -> list[Query]:
    """Make attention checks: pairs whose better side is obvious to the reward model.

    Args:
        trajectories: Where to cut the segments.
        length: Steps of a segment.
        n: How many.
        candidates_per_query: Sampled for each one chosen; fewer where there aren't enough pairs.
        step_scores: Each member's score of each step.
        rng: Source of the sample.

    Returns:
        `n` queries or fewer, those about which the least certain member is most certain, and only such that all members
        are on one side. `value` is how certain that member is: 2 P(left preferred) - 1.

    Raises:
        BadInput: If no segment can be cut.
    """
    sampled = min(n * candidates_per_query, count_queries(trajectories, length))
    if not sampled:
        return []
    candidates = sample_candidates(trajectories, length=length, n=sampled, rng=rng, step_scores=step_scores)
    leaning = 2 * expit(candidates.scores[:, :, 0] - candidates.scores[:, :, 1]) - 1
    lowest, highest = leaning.min(axis=0), leaning.max(axis=0)
    values = np.where(lowest > 0, lowest, np.where(highest < 0, highest, 0.0))
    chosen = [i for i in best(np.abs(values), n, rng=rng) if values[i] != 0]
    queries = candidates[chosen].queries()
    return [replace(query, why=CHECK, value=float(values[i])) for i, query in zip(chosen, queries, strict=True)]


def make_planned(
    preferences: Sequence[Preference],
    trajectories: Sequence[Trajectory],
    n: int,
    *,
    repeats: float,
    checks: float,
    rng: np.random.Generator,
    **how: Any,
) -> list[Query]:
    """Make those of the next `n` queries that are repeats or checks, so that both have their share of all.

    Args:
        preferences: What was answered so far.
        trajectories: Where to cut checks.
        n: Queries to be asked in all.
        repeats: Share of repeats.
        checks: Share of checks.
        rng: Source of all draws.
        **how: As :func:`make_checks` takes it.
    """
    asked = Counter({p.query.id: p.query.why for p in preferences}.values())
    again = max(0, int(repeats * (asked.total() + n)) - asked[REPEAT] - asked[MIRRORED])
    obvious = max(0, int(checks * (asked.total() + n)) - asked[CHECK])
    planned = make_repeats(preferences, again, rng=rng) if again else []
    planned += make_checks(trajectories, n=obvious, rng=rng, **how) if obvious else []
    return planned[:n]


def mix(new: Sequence[Query], planned: Sequence[Query], *, rng: np.random.Generator) -> list[Query]:
    """Shuffle planned queries among the new ones; without any, the order stays."""
    queries = [*new, *planned]
    return [queries[i] for i in rng.permutation(len(queries))] if planned else queries
