"""The contract of query schemes: run :func:`check_scheme` on one of your own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rlhf_gym.contracts.examples import must
from rlhf_gym.queries import Candidates, Scheme, sample_candidates
from rlhf_gym.segments import Array, Ending, Origin, Trajectory


def check_scheme(scheme: Scheme) -> None:
    """Check a query scheme on candidates such as the training loop passes.

    They have one ensemble member or several, two options or more, queries asked before or none; some or all of the
    candidates have to be chosen.

    Args:
        scheme: As a registered factory returns it.

    Raises:
        AssertionError: Naming the rule that is broken.
    """
    cases = ((1, 2, 1, 0), (3, 2, 4, 5), (3, 2, 12, 0), (3, 3, 4, 1), (3, 3, 12, 5), (5, 4, 4, 3), (5, 2, 11, 3))
    for members, options, n, asked in cases:
        candidates = _candidates(members, options, asked=asked)
        before = [candidates.windows.copy(), candidates.scores.copy(), candidates.features.copy()]
        chosen = _indices(scheme, candidates, n)
        must(chosen.shape == (n,), f"as many are chosen as asked for: expected {n}, got {chosen.shape}")
        must(len(set(chosen.tolist())) == n, f"no candidate is chosen twice; got {chosen.tolist()}")
        must(chosen.dtype.kind in "iu", f"what is chosen are indices, whole numbers; got {chosen.dtype}")
        must(0 <= chosen.min() and chosen.max() < len(candidates), "indices are from 0 to N - 1")
        after = [candidates.windows, candidates.scores, candidates.features]
        must(all(map(np.array_equal, before, after)), "what is given is not changed")
        must((chosen == _indices(scheme, candidates, n)).all(), "the same generator chooses the same")
    for extreme in (_candidates(2, 2, size=1e6), _candidates(3, 3, size=0.0)):  # certain to the last bit; indifferent
        must(len(set(_indices(scheme, extreme, 4).tolist())) == 4, "members certain of all or nothing are chosen among")


def check_value(scheme: Scheme) -> None:
    """Check a scheme that values each candidate by its own scores alone; others may look at several together.

    Raises:
        AssertionError: Naming the rule that is broken.
    """
    candidates = _candidates(4, 2)
    best = _indices(scheme, candidates, 1)[0]
    order = np.random.default_rng(1).permutation(len(candidates))
    must(order[_indices(scheme, candidates[order], 1)[0]] == best, "a value depends on its own candidate alone")
    mirrored = replace(candidates, windows=candidates.windows[:, ::-1])
    must(_indices(scheme, mirrored, 1)[0] == best, "left and right are alike")


def _indices(scheme: Scheme, candidates: Candidates, n: int) -> Array:
    chosen = scheme(candidates, n, np.random.default_rng(0))
    return np.asarray(chosen[0] if isinstance(chosen, tuple) else chosen)


def _candidates(members: int, options: int, *, size: float = 1.0, asked: int = 0) -> Candidates:
    """Sample candidates from float32 episodes, as environments give them, scored by linear members."""
    rng = np.random.default_rng(members)
    ends = (Ending.TERMINATED, Ending.TRUNCATED, Ending.UNFINISHED)
    episodes = [
        Trajectory(
            rng.normal(size=(21, 3)).astype(np.float32),
            rng.integers(2, size=20),
            np.zeros(20),
            end,
            Origin("Example-v0", seed),
        )
        for seed, end in enumerate(ends)
    ]
    weights = (size * rng.normal(size=(3, members))).astype(np.float32)
    how: dict[str, Any] = {"length": 5, "options": options, "rng": rng}
    return sample_candidates(
        episodes,
        n=12,
        asked=sample_candidates(episodes, n=asked, **how).queries(),
        step_scores=lambda observations, *_: (observations @ weights).T,
        **how,
    )
