"""Each ensemble member's own weights of the choices."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import final

import numpy as np

from rlhf_gym.preferences import Choice, drawn_id
from rlhf_gym.rewards.growing import Growing
from rlhf_gym.segments import Array


@final
class Bootstrap:
    """Each member's weight of each choice, fixed for the whole run.

    Weights are Poisson(1) draws, as in a bootstrap; or, in folds, 0 for one member drawn at random and 1 for the
    others, so that each choice is used by several members and held out by one. With fewer than three members, the draw
    is from three, so that some choices are held out by none.

    If weights were redrawn at every fit, the members' data would even out over a run. A weight of 0 holds the choice
    out of that member's data for good. A weight depends only on the seed and the choice's group, so that it survives
    interruptions and withdrawn answers, and a query that is repeated, or answered by several people, is held out as a
    whole. Choices that the reward made itself count 1 for every member, as no figure of them would mean anything.

    Args:
        ensemble_size: M.
        seed: Of all draws.
        folds: Whether to hold out in folds.
    """

    def __init__(self, ensemble_size: int, *, seed: int, folds: bool = False) -> None:
        self._ensemble_size, self._seed, self._folds = ensemble_size, seed, folds
        self._drawn: dict[str, Array] = {}
        self._growing, self._weights = Growing(), np.zeros((0, ensemble_size))

    def weights(self, choices: Sequence[Choice]) -> Array:
        """Compute the members' weights of N choices, times the choices' own weights, shape (M, N)."""
        kept = self._growing.kept(choices)
        new = [self._of(choice) * choice.weight for choice in choices[kept:]]
        self._weights = np.concatenate([self._weights[:kept], np.reshape(new, (len(new), self._ensemble_size))])
        self._growing.keep(choices)
        return self._weights.T

    def _of(self, choice: Choice) -> Array:
        if choice.own:
            return np.ones(self._ensemble_size, np.int64)
        if (group := choice.group) not in self._drawn:
            digest = hashlib.blake2b(drawn_id(group).encode(), digest_size=16).digest()
            rng = np.random.default_rng([self._seed, int.from_bytes(digest, "little")])
            self._drawn[group] = self._in_folds(rng) if self._folds else rng.poisson(1.0, size=self._ensemble_size)
        return self._drawn[group]

    def _in_folds(self, rng: np.random.Generator) -> Array:
        return np.asarray(np.arange(self._ensemble_size) != rng.integers(max(self._ensemble_size, 3)), np.int64)
