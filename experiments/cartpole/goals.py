"""What a teacher may want of CartPole that its reward doesn't say, and how near a policy comes to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlhf_gym.segments import Array, Trajectory

PLACE, WIDTH = 1.0, 0.5  # metres: where the cart is to be, and how fast the goal fades beside it
LAST = 200


def hold_at_one(observations: Array, actions: Array, next_observations: Array) -> Array:
    """Goal: the cart at x = +1.

    Args:
        observations: Before each step, shape (S, 4); the first number is the cart's position x.
        actions: Shape (S,); they don't matter.
        next_observations: After each step, shape (S, 4).

    Returns:
        exp(-|x - 1| / 0.5) of the place each step leads to, shape (S,).
    """
    rewards: Array = np.exp(-np.abs(next_observations[:, 0] - PLACE) / WIDTH)
    return rewards


def episode_length(episodes: Sequence[Trajectory]) -> float:
    """Mean number of steps."""
    return float(np.mean([len(episode) for episode in episodes]))


def distance_last_200(episodes: Sequence[Trajectory]) -> float:
    """Mean of |x - 1| over the last 200 steps of each episode, or all steps of a shorter one."""
    places = [episode.observations[1:][-LAST:, 0] for episode in episodes]
    return float(np.mean([np.abs(x - PLACE).mean() for x in places]))


def goal_return(episodes: Sequence[Trajectory]) -> float:
    """Mean sum of the goal's rewards over an episode."""
    sums = [hold_at_one(e.observations[:-1], e.actions, e.observations[1:]).sum() for e in episodes]
    return float(np.mean(sums))
