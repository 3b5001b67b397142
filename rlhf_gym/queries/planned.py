"""Planned queries: repeats, mirrored repeats, attention checks whose answer is obvious, and held-out ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit

from rlhf_gym.preferences import CHECK, HELDOUT, MIRRORED, REPEAT, Answer, Preference, Query
from rlhf_gym.queries.candidates import StepScores
from rlhf_gym.queries.sampling import count_queries, sample_candidates
from rlhf_gym.queries.schemes.scheme import best
from rlhf_gym.segments import Trajectory


def make_repeats(preferences: Sequence[Preference], n: int, *, rng: np.random.Generator) -> list[Query]:
    """Ask answered queries once more, every second one with its options in reverse.

    A query is repeated once at most; skipped ones, repeats, checks and held-out ones are not repeated.

    Args:
        preferences: Answers so far.
        n: Number of repeats.
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


_PLANNED = {REPEAT, MIRRORED, CHECK, HELDOUT}


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
    asked: Sequence[Query] = (),
) -> list[Query]:
    """Make attention checks: pairs whose better side is obvious to the reward model.

    Args:
        trajectories: Source of the segments.
        length: Steps of a segment.
        n: Number of checks.
        candidates_per_query: Candidates sampled per check; fewer where there aren't enough pairs.
        step_scores: Each member's score of each step.
        rng: Source of the sample.
        asked: Queries of the run so far, which aren't made again.

    Returns:
        At most `n` queries for which all members prefer the same side, those whose least certain member is most
        certain. `value` is that member's 2 P(left preferred) - 1.

    Raises:
        BadInput: If no segment can be cut.
    """
    sampled = min(n * candidates_per_query, count_queries(trajectories, length, asked=asked))
    if not sampled:
        return []
    candidates = sample_candidates(
        trajectories, length=length, n=sampled, rng=rng, asked=asked, step_scores=step_scores
    )
    leaning = 2 * expit(candidates.scores[:, :, 0] - candidates.scores[:, :, 1]) - 1
    lowest, highest = leaning.min(axis=0), leaning.max(axis=0)
    values = np.where(lowest > 0, lowest, np.where(highest < 0, highest, 0.0))
    chosen = [i for i in best(np.abs(values), n, rng=rng) if values[i] != 0]
    queries = candidates[chosen].queries()
    return [replace(query, why=CHECK, value=float(values[i])) for i, query in zip(chosen, queries, strict=True)]


def make_planned(
    preferences: Iterable[Preference],
    trajectories: Sequence[Trajectory],
    n: int,
    *,
    repeats: float,
    checks: float,
    rng: np.random.Generator,
    **how: Any,
) -> list[Query]:
    """Make the repeats and checks among the next `n` queries, so that both have their share of all queries.

    Args:
        preferences: Answers so far.
        trajectories: Source of the checks.
        n: Number of next queries, all sorts together.
        repeats: Share of repeats.
        checks: Share of checks.
        rng: Source of all draws.
        **how: Further arguments of :func:`make_checks`.
    """
    if not (repeats or checks):  # saves a pass over all answers
        return []
    preferences = list(preferences)
    asked = Counter({p.query.id: p.query.why for p in preferences}.values())
    again = max(0, int(repeats * (asked.total() + n)) - asked[REPEAT] - asked[MIRRORED])
    obvious = max(0, int(checks * (asked.total() + n)) - asked[CHECK])
    planned = make_repeats(preferences, again, rng=rng) if again else []
    planned += make_checks(trajectories, n=obvious, rng=rng, **how) if obvious else []
    return planned[:n]


def make_heldout(trajectories: Sequence[Trajectory], n: int, **how: Any) -> list[Query]:
    """Draw `n` held-out queries uniformly; no reward is fitted to their answers.

    Args:
        trajectories: Source of the segments.
        n: Number of queries.
        **how: Further arguments of :func:`sample_candidates`.

    Raises:
        BadInput: If fewer than `n` can be asked.
    """
    return [replace(q, why=HELDOUT) for q in sample_candidates(trajectories, n=n, **how).queries()] if n else []


def is_heldout(query: Query) -> bool:
    """Return whether a query is held out, so that no reward is fitted to its answer."""
    return query.why == HELDOUT


def runs_into_termination(query: Query) -> bool:
    """Return whether an option of a query runs into a termination."""
    return any(option.terminated for option in query.options)


def due(asked: Sequence[Query], n: int, share: float, counts: Callable[[Query], bool]) -> int:
    """Compute how many of the next `n` queries must be of a sort for it to have its share of all queries.

    Args:
        asked: Queries of the run so far.
        n: Queries to be asked.
        share: From 0 to 1.
        counts: Whether a query is of the sort.
    """
    if not share:  # saves a pass over all queries
        return 0
    owed = math.floor(share * (len(asked) + n) + 1e-9)  # 0.29 of 100 is 28.999...
    return max(0, min(n, owed - sum(map(counts, asked))))


def mix(new: Sequence[Query], planned: Sequence[Query], *, rng: np.random.Generator) -> list[Query]:
    """Shuffle planned queries among the new ones; without any, the order stays."""
    queries = [*new, *planned]
    return [queries[i] for i in rng.permutation(len(queries))] if planned else queries
