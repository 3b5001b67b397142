"""The interface of a query scheme, and schemes made from a value for each candidate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.queries.candidates import Candidates
from rlhf_gym.segments import Array

Scheme = Callable[[Candidates, int, np.random.Generator], "Array | tuple[Array, Array]"]
"""(N candidates, n, rng) -> indices of the n most worth asking, shape (n,), best first; or a tuple of these and their
values, shape (n,), in the scheme's own unit."""


def by_value(value: Callable[[Candidates], Array]) -> Scheme:
    """Make a scheme that chooses the candidates of highest value, equal ones in random order.

    Args:
        value: Function from N candidates to their values, shape (N,).
    """

    def scheme(candidates: Candidates, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        values = np.asarray(value(candidates))
        if values.shape != (len(candidates),) or not np.isfinite(values).all():
            bad = values[~np.isfinite(values)][:1] if values.shape == (len(candidates),) else values.shape
            raise BadInput(
                f"query.scheme values {len(candidates)} candidates at {bad}; expected one finite number for each"
            )
        chosen = best(values, n, rng=rng)
        return chosen, values[chosen]

    return scheme


def best(values: Array, n: int, *, rng: np.random.Generator) -> Array:
    """Find the indices of the `n` highest values, equal ones in random order."""
    order = rng.permutation(len(values))
    return order[np.argsort(-values[order], kind="stable")[:n]]
