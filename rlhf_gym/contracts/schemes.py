"""What a selector has to hold to: run :func:`check_selector` over one of your own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlhf_gym.segments import Array


def check_selector(selector: Callable[[Array], Array]) -> None:
    """Check a function that says how much each candidate is worth asking about.

    Args:
        selector: From each member's P(left preferred), shape (M, N), to values, shape (N,).

    Raises:
        AssertionError: Naming the rule that is broken.
    """
    rng = np.random.default_rng(0)
    for members, candidates in ((1, 1), (3, 7), (5, 40)):
        given = rng.random((members, candidates))
        kept = given.copy()
        values = np.asarray(selector(given))
        assert values.shape == (candidates,), f"one value a candidate: expected {(candidates,)}, got {values.shape}"
        assert np.isfinite(values).all(), "values are finite"
        assert (given == kept).all(), "what is given is not changed"
        order = rng.permutation(candidates)
        assert np.allclose(selector(given[:, order]), values[order]), "a value depends on its own candidate alone"
        assert np.allclose(selector(1 - given), values), "left and right are alike"
        assert np.allclose(selector(given[::-1]), values), "all members are alike"
    assert np.isfinite(selector(np.array([[0.0, 1.0], [0.0, 1.0]]))).all(), "certain members give finite values"
