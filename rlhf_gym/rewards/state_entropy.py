"""A reward for states unlike those of before: a particle estimate of their entropy, which needs no label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np

from rlhf_gym.segments import Array

NEIGHBOUR = 5  # the k of Lee et al. 2021
STATES = 2048  # that others are compared with: more would cost time in every step
ROUNDING = 1e-6  # of a coordinate's size: what varies less than this is constant, but for float32
FEW_COORDINATES = 8  # up to which a tree finds neighbours sooner than looking at all states

Distances = Callable[[Array, int], Array]
"""(points (S, D), k) -> distance of each to its k-th nearest state, shape (S,)."""


@final
class StateEntropy:
    """Pay for reaching a state by how far its k-th nearest neighbour is among the states of before.

    The mean of log ||s - s_k|| over states estimates their entropy (Singh et al. 2003; Lee et al. 2021, PEBBLE, section
    4.1). Paid is log(1 + ||s - s_k|| / d), d the mean distance, as in Liu & Abbeel 2021 (APT): it is never
    negative, so that no agent is better off where its episode ends. Coordinates are in units of their own standard
    deviation, as is the reward, which pays nothing before :meth:`compare_with`.

    Args:
        k: Which neighbour; among the states themselves it is counted without the state itself.
        states: How many states others are compared with at most.
    """

    def __init__(self, k: int = NEIGHBOUR, states: int = STATES) -> None:
        self._k, self._states = k, states
        self._distances: Distances | None = None

    def compare_with(self, states: Array) -> None:
        """Take the states that others are compared with from now on; call it at rollouts' borders only.

        Args:
            states: Shape (S, *obs), the oldest first; of more than are needed that many, evenly spread.
        """
        if len(states) <= self._k:
            return
        some = np.linspace(0, len(states) - 1, min(len(states), self._states)).round().astype(int)
        points = _flat(states[some])
        self._mean, spread = points.mean(axis=0), points.std(axis=0)
        self._scale = np.where(spread > ROUNDING * np.abs(self._mean), spread, 1)
        points = self._in_units(points)
        self._distances = distances_to(points)
        own = self._distances(points, self._k + 1)  # the nearest is the state itself
        self._typical = float(own.mean()) or 1.0
        self._unit = float(np.log1p(own / self._typical).std()) or 1.0

    def __call__(
        self, observations: Array, actions: Array, next_observations: Array, terminated: Array | None = None
    ) -> Array:
        """Pay for steps, by the states that they lead to.

        Args:
            observations: Not used, nor are `actions` and `terminated`.
            actions: See there.
            next_observations: Shape (S, *obs).
            terminated: See there.

        Returns:
            float32, shape (S,), at least 0.
        """
        if self._distances is None:
            return np.zeros(len(next_observations), np.float32)
        distances = self._distances(self._in_units(_flat(next_observations)), self._k)
        return np.asarray(np.log1p(distances / self._typical) / self._unit, np.float32)

    def _in_units(self, points: Array) -> Array:
        """Measure in standard deviations, from the mean: of large numbers alike, squares would leave no difference."""
        return np.asarray((points - self._mean) / self._scale, np.float32)


def distances_to(points: Array) -> Distances:
    """Make the function that finds distances to the nearest of these points, shape (S, D) with S > k."""
    if points.shape[1] <= FEW_COORDINATES:
        from scipy.spatial import KDTree  # long to import, and most runs need none of it

        tree = KDTree(points)
        return lambda others, k: np.asarray(tree.query(others, [k])[0][:, 0], np.float32)
    squares = np.square(points).sum(axis=1)

    def distances(others: Array, k: int) -> Array:
        to_all: Any = squares - 2 * (others @ points.T)
        nearest = np.partition(to_all, k - 1, axis=1)[:, k - 1] + np.square(others).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(nearest, 0)))

    return distances


def _flat(states: Array) -> Array:
    return np.asarray(states, np.float64).reshape(len(states), -1)
