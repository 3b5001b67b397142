"""Compute the optimal advantage of actions on Pendulum-v1, by value iteration on a grid.

Contrastive preference learning assumes that answers compare sums of these advantages (Hejna et al. 2024, equation 3),
not of rewards.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from rlhf_gym.segments import Array, Trajectory

GAMMA = 0.98
ANGLES, SPEEDS, TORQUES = 144, 121, 17  # grid points
SWEEPS = 500  # GAMMA ** 500 is 4e-5
FASTEST, STRONGEST, SECONDS = 8.0, 2.0, 0.05  # of the environment, whose gravity is 10, mass and length 1


class Step(NamedTuple):
    """The next state and the reward of a step."""

    angle: Array
    speed: Array
    reward: Array


def step(angle: Array, speed: Array, torque: Array) -> Step:
    """Make one step of Pendulum-v1, for arrays that broadcast together; an angle of 0 is upright."""
    torque = np.clip(torque, -STRONGEST, STRONGEST)
    turned = (angle + np.pi) % (2 * np.pi) - np.pi
    reward = -(turned**2 + 0.1 * speed**2 + 0.001 * torque**2)
    speed = np.clip(speed + (15 * np.sin(angle) + 3 * torque) * SECONDS, -FASTEST, FASTEST)
    return Step(angle + speed * SECONDS, speed, reward)


def advantage(observations: Array, actions: Array, next_observations: Array) -> Array:
    """Compute A*(s, a), at most 0, which can serve as a goal (:data:`rlhf_gym.teachers.goals.Goal`).

    Args:
        observations: Shape (S, 3).
        actions: Shape (S, 1).
        next_observations: Shape (S, 3); unused.

    Returns:
        Shape (S,).
    """
    angle, speed = np.arctan2(observations[:, 1], observations[:, 0]), observations[:, 2].astype(np.float64)
    played = _worth(step(angle, speed, actions[:, 0].astype(np.float64)))
    each = _worth(step(angle[:, None], speed[:, None], _torques()))
    return np.asarray(played - np.maximum(each.max(axis=1), played))


def regret(episodes: Sequence[Trajectory]) -> float:
    """Compute the regret of an episode, the sum of its negative advantages, averaged over episodes."""
    return float(np.mean([-advantage(e.observations[:-1], e.actions, e.observations[1:]).sum() for e in episodes]))


def _torques() -> Array:
    return np.linspace(-STRONGEST, STRONGEST, TORQUES)


def _worth(made: Step) -> Array:
    return made.reward + GAMMA * _between(_values(), *_corners(made.angle, made.speed))


@cache
def _values() -> Array:
    """Iterate values to their fixed point, shape (ANGLES * SPEEDS,)."""
    angles = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    speeds = np.linspace(-FASTEST, FASTEST, SPEEDS)
    made = step(angles[:, None, None], speeds[:, None], _torques())
    corners = _corners(*np.broadcast_arrays(made.angle, made.speed))
    values = np.zeros(ANGLES * SPEEDS)
    for _ in range(SWEEPS):
        values = (made.reward + GAMMA * _between(values, *corners)).max(axis=2).ravel()
    return values


def _corners(angle: Array, speed: Array) -> tuple[Array, Array]:
    """Find the four grid points around each state, and their interpolation weights: two arrays of shape (4, ...)."""
    across = angle / (2 * np.pi / ANGLES)
    up = np.clip((speed + FASTEST) / (2 * FASTEST / (SPEEDS - 1)), 0, SPEEDS - 1)
    left, below = np.floor(across).astype(int), np.minimum(np.floor(up).astype(int), SPEEDS - 2)
    x, y = across - left, up - below
    places = [(left + i) % ANGLES * SPEEDS + below + j for i in (0, 1) for j in (0, 1)]
    return np.stack(places), np.stack([(1 - x) * (1 - y), (1 - x) * y, x * (1 - y), x * y])


def _between(values: Array, places: Array, shares: Array) -> Array:
    return np.asarray((values[places] * shares).sum(axis=0))
