"""A goal for CartPole that its reward doesn't express, and measures of how near a policy comes to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlhf_gym.segments import Trajectory
from rlhf_gym.teachers.builtin_goals import cart_pole_hold_at_one as hold_at_one

PLACE = 1.0  # metres: where the cart is to be
LAST = 200

__all__ = ["distance_last_200", "episode_length", "goal_return", "hold_at_one"]


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
