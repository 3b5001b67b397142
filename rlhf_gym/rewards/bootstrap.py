"""Each member's own data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import final

import numpy as np

from rlhf_gym.preferences import Choice
from rlhf_gym.segments import Array


@final
class Bootstrap:
    """Each member's weight of each choice: Poisson(1), and always the same one.

    Redrawn at every fit, the members' data would even out over a run. A weight of 0 (of probability 1/e) makes the
    choice one of that member's held-out ones, for good. A weight is drawn from the seed and from the choice's group, so
    that it survives an interruption, and an answer that is taken back; a query that is repeated, or answered by several
    people, is held out as a whole.

    Args:
        ensemble_size: M.
        seed: Of all draws.
    """

    def __init__(self, ensemble_size: int, *, seed: int) -> None:
        self._ensemble_size, self._seed = ensemble_size, seed
        self._drawn: dict[str, Array] = {}

    def weights(self, choices: Sequence[Choice]) -> Array:
        """Draw the weights of N choices, shape (M, N)."""
        return np.array([self._of(choice.group) for choice in choices]).T

    def _of(self, group: str) -> Array:
        if group not in self._drawn:
            digest = hashlib.blake2b(group.encode(), digest_size=16).digest()
            rng = np.random.default_rng([self._seed, int.from_bytes(digest, "little")])
            self._drawn[group] = rng.poisson(1.0, size=self._ensemble_size)
        return self._drawn[group]
