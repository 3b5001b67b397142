"""How far a policy gets towards goals that no environment pays for, in units that one can picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlhf_gym.evaluation import goal_return
from rlhf_gym.segments import Trajectory
from rlhf_gym.teachers.builtin_goals import half_cheetah_one_leg, walker_one_leg

SECONDS = {"Pendulum-v1": 0.05, "HalfCheetah-v5": 0.05, "Hopper-v5": 0.008, "Walker2d-v5": 0.008}  # of one step


def _travelled(episodes: Sequence[Trajectory], number: int) -> float:
    """Integrate a velocity in the observation over each episode, and average; in its unit times seconds."""
    sums = [episode.observations[1:, number].sum() for episode in episodes]
    seconds = {SECONDS[episode.origin.env_id] for episode in episodes if episode.origin}
    return float(np.mean(sums) * seconds.pop())


def pendulum_turns(episodes: Sequence[Trajectory]) -> float:
    """Pendulum: net counter-clockwise turns per episode of 10 s."""
    return _travelled(episodes, 2) / (2 * np.pi)


def metres_backwards(episodes: Sequence[Trajectory]) -> float:
    """HalfCheetah: metres backwards per episode of 50 s."""
    return -_travelled(episodes, 8)


def metres_on_back_leg(episodes: Sequence[Trajectory]) -> float:
    """HalfCheetah: metres forwards on the back leg, less those on the front one, per episode of 50 s."""
    return goal_return(half_cheetah_one_leg, episodes) * SECONDS["HalfCheetah-v5"]


def seconds_on_right_leg(episodes: Sequence[Trajectory]) -> float:
    """Walker2d: seconds on the right leg, less those on the left, each times 1 + speed in m/s, per episode of 8 s."""
    return goal_return(walker_one_leg, episodes) * SECONDS["Walker2d-v5"]


def flips_forwards(episodes: Sequence[Trajectory]) -> float:
    """HalfCheetah: somersaults per episode of 50 s."""
    return _travelled(episodes, 10) / (2 * np.pi)


def flips_backwards(episodes: Sequence[Trajectory]) -> float:
    """Hopper: backflips per episode of 8 s, by a velocity that the environment clips at 10 rad/s."""
    return -_travelled(episodes, 7) / (2 * np.pi)
