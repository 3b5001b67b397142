"""A reward for new states: a particle estimate of the entropy of states, which needs no labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np

from rlhf_gym.segments import Array

NEIGHBOUR = 5  # the k of Lee et al. 2021
STATES = 2048  # most states that others are compared with: more would cost time in every step
ROUNDING = 1e-6  # share of a coordinate's mean: a standard deviation below it is float32 rounding
FEW_COORDINATES = 8  # up to which a tree finds neighbours faster than comparing with all states

Distances = Callable[[Array, int], Array]
"""(points (S, D), k) -> distance of each to its k-th nearest state, shape (S,)."""


@final
class StateEntropy:
    """Pay for reaching a state by its distance to the k-th nearest of earlier states.

    The mean of log ||s - s_k|| over states estimates their entropy (Singh et al. 2003; Lee et al. 2021, PEBBLE, section
    4.1). The reward is log(1 + ||s - s_k|| / d), with d the mean distance, as in Liu & Abbeel 2021 (APT); it is never
    negative, so that no agent gains by ending its episode. Coordinates are in units of their own standard deviation, as
    is the reward, which is 0 before :meth:`compare_with`.

    Args:
        k: Which neighbour among the states compared with; a replayed state that is one of them is its own first.
        states: Most states that others are compared with.
    """

    def __init__(self, k: int = NEIGHBOUR, states: int = STATES) -> None:
        self._k, self._states = k, states
        self._distances: Distances | None = None

    def compare_with(self, states: Array) -> None:
        """Set the states that others are compared with from now on; call it only between rollouts.

        Args:
            states: Shape (S, *obs), oldest first; of more than needed, an evenly spread part is taken. With at most k,
                nothing changes.
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
        """Compute the rewards of steps from the states that they lead to.

        Args:
            observations: Not used.
            actions: Not used.
            next_observations: Shape (S, *obs).
            terminated: Not used.

        Returns:
            float32, shape (S,), at least 0.
        """
        if self._distances is None:
            return np.zeros(len(next_observations), np.float32)
        distances = self._distances(self._in_units(_flat(next_observations)), self._k)
        return np.asarray(np.log1p(distances / self._typical) / self._unit, np.float32)

    def _in_units(self, points: Array) -> Array:
        """Standardise points, as float32 squares of large, similar numbers would lose their differences."""
        return np.asarray((points - self._mean) / self._scale, np.float32)


def distances_to(points: Array) -> Distances:
    """Make the function that finds distances to the k-th nearest of these points, shape (S, D) with S > k."""
    if points.shape[1] <= FEW_COORDINATES:
        from scipy.spatial import KDTree  # slow to import, and most runs don't need it

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
