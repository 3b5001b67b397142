"""Trajectories recorded elsewhere, windows of which are demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Segment, Trajectory, count_windows, cut_windows
from rlhf_gym.teachers import Shows

Spaces = tuple[Space[Any], Space[Any]]
"""Of observations, and of actions."""


def recorded(trajectories: Sequence[Trajectory], *, rng: np.random.Generator) -> Shows:
    """Show windows of trajectories, each as likely as any other (:func:`rlhf_gym.segments.count_windows`).

    Args:
        trajectories: At least one.
        rng: Draws the windows.

    Returns:
        A function of a query that raises BadInput if no trajectory is as long as its segments, or if a query of one
        option asks to go on from there.
    """
    counts = cache(lambda length: count_windows(trajectories, length))

    def shows(query: Query) -> Segment:
        if len(query.options) == 1:
            raise BadInput(f"query {query.id!r} is a {query.kind}; recorded trajectories can't go on from its state")
        length = query.options[0].length
        number = rng.integers(counts(length).sum(), size=1)
        return cut_windows(trajectories, counts(length), number, length)[0]

    return shows


def fitted(trajectory: Trajectory, to: Spaces, *, whose: str) -> Trajectory:
    """Bring a trajectory to the dtypes in which a run records.

    Args:
        trajectory: Its shapes have to be the run's.
        to: The run's spaces.
        whose: Said of where it comes from.

    Raises:
        BadInput: If it is of another environment.
    """
    check_shapes(whose, (trajectory.observations.shape[1:], trajectory.actions.shape[1:]), to)
    actions = trajectory.actions.astype(to[1].dtype or np.float32)
    if isinstance(to[1], spaces.Discrete):
        if trajectory.actions.dtype.kind not in "iu" or actions.min() < 0 or actions.max() >= to[1].n:
            raise BadInput(f"{whose} has actions other than whole numbers below {to[1].n}; expected {to[1]}")
    return replace(
        trajectory,
        observations=trajectory.observations.astype(to[0].dtype or np.float32),
        actions=actions,
        rewards=trajectory.rewards.astype(np.float32),
        # Rounded actions lead elsewhere.
        origin=trajectory.origin if np.array_equal(actions, trajectory.actions) else None,
    )


def check_shapes(whose: str, came: tuple[tuple[int, ...], tuple[int, ...]], to: Spaces) -> None:
    """Refuse observations and actions of other shapes than a run's.

    Raises:
        BadInput: Naming both.
    """
    wanted = (to[0].shape, to[1].shape)
    if came != wanted:
        raise BadInput(
            f"{whose} has observations and actions of shapes {came[0]} and {came[1]}, and the run's environment has "
            f"{wanted[0]} and {wanted[1]}; use one of the same environment"
        )
