"""The outside coverage scheme: ask partly just outside what was asked before, partly inside."""

from __future__ import annotations

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.queries.candidates import Candidates
from rlhf_gym.queries.schemes.features import nearest, standardised
from rlhf_gym.queries.schemes.scheme import Scheme
from rlhf_gym.segments import Array


def outside_coverage(share: float = 0.5, border: float = 0.95) -> Scheme:
    """Choose a share of the queries just outside what was asked before, nearest first, and the others inside.

    After PPE's mixture of queries (NeurIPS 2025), with nearest neighbours in place of a density network. An option's
    distance is that of its features to the nearest asked option's, a query's that of its farthest option. The border is
    a quantile of the asked options' distances to the nearest other one. Inside, the choice is uniform. If one side has
    too few queries, the other gives more, nearest to the border first. A choice's value is its distance.

    Args:
        share: Share of the queries from outside, from 0 to 1.
        border: The quantile, from 0 to 1.

    Raises:
        BadInput: If `share` or `border` isn't from 0 to 1.
    """
    for name, given in (("share", share), ("border", border)):
        if not 0 <= given <= 1:
            raise BadInput(f"query.scheme_options.{name} is {given}; use a number from 0 to 1")

    def scheme(candidates: Candidates, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        features, asked = standardised(candidates)
        asked = asked.reshape(-1, asked.shape[-1])
        if len(asked) < 2:  # too few for a border
            return rng.permutation(len(features))[:n], np.zeros(n)
        out = nearest(features.reshape(-1, features.shape[-1]), asked).reshape(features.shape[:2]).max(axis=1)
        beyond = out - np.quantile(nearest(asked, asked, itself=False), border)
        outside = np.flatnonzero(beyond > 0)
        outside = outside[np.argsort(beyond[outside], kind="stable")]
        inside = rng.permutation(np.flatnonzero(beyond <= 0))
        chosen = _mixed(outside, inside, n, int(share * n + rng.random()), beyond)
        return chosen, out[chosen]

    return scheme


def _mixed(outside: Array, inside: Array, n: int, wanted: int, beyond: Array) -> Array:
    """Take `wanted` queries from outside and the others from inside, filling up from either side; shape (n,)."""
    n_outside = min(len(outside), max(wanted, n - len(inside)))
    if n_outside < wanted:  # fill up with the outermost of the inside
        inside = inside[np.argsort(-beyond[inside], kind="stable")]
    return np.concatenate([outside[:n_outside], inside[: n - n_outside]])
