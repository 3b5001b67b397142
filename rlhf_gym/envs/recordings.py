"""Load recorded trajectories by name, and check that they fit a run's environment."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from rlhf_gym.envs.make import make_env
from rlhf_gym.envs.trajectory_files import load_trajectories
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Origin, Trajectory, count_windows

MINARI = "minari:"
Spaces = tuple[Space[Any], Space[Any]]
"""Spaces of observations and of actions."""


def load_recordings(place: str) -> list[Trajectory]:
    """Load trajectories from a file or a Minari dataset.

    Args:
        place: `minari:ID`, a Minari dataset on this machine, or a file of :func:`save_trajectories`.

    Raises:
        BadInput: If there are none, or they can't be read.
        ImportError: If it is a Minari dataset, and Minari isn't installed.
    """
    if not place.startswith(MINARI):
        return load_trajectories(place)
    from rlhf_gym.envs.minari_datasets import trajectories_from_minari

    return trajectories_from_minari(place.removeprefix(MINARI))


def recordings_of(origin: Origin, place: str, *, length: int, setting: str) -> list[Trajectory]:
    """Load trajectories of an environment, converted to the dtypes in which a run records.

    Args:
        origin: The environment; its seed isn't used. Keyword arguments and horizon may differ.
        place: As :func:`load_recordings` takes it.
        length: Steps of a segment, which the longest trajectory must have.
        setting: Name of the setting that holds `place`, for error messages.

    Raises:
        BadInput: As :func:`load_recordings`, and if they are too short or of another environment, naming both.
    """
    whose, trajectories = f"{setting} {place}", load_recordings(place)
    others = sorted({_bare(t.origin.env_id) for t in trajectories if t.origin} - {_bare(origin.env_id)})
    if not others and place.startswith(MINARI):
        from rlhf_gym.envs.minari_datasets import env_id_of_minari

        recorded_in = env_id_of_minari(place.removeprefix(MINARI))
        others = [recorded_in] if recorded_in and _bare(recorded_in) != _bare(origin.env_id) else []
    if others:
        raise BadInput(
            f"{whose} was recorded in {others[0]}, and env_id is {origin.env_id}; use trajectories of the same "
            "environment"
        )
    with closing(make_env(origin)) as env:
        here = env.observation_space, env.action_space
    trajectories = fitted(trajectories, here, whose=whose)
    check_length(trajectories, length, whose=whose)
    return trajectories


def _bare(env_id: str) -> str:
    """Return an id without the module that registers it."""
    return env_id.rpartition(":")[2]


def fitted(trajectories: Sequence[Trajectory], to: Spaces, *, whose: str) -> list[Trajectory]:
    """Convert trajectories to the dtypes in which a run records.

    Args:
        trajectories: The trajectories, whose shapes must be the run's.
        to: The run's spaces.
        whose: Where they come from, for error messages.

    Raises:
        BadInput: If one is of another environment, or an observation or action isn't finite or outside its Box, naming
            trajectory and step.
    """
    return [_fitted(trajectory, to, whose=whose, number=number) for number, trajectory in enumerate(trajectories)]


def _fitted(trajectory: Trajectory, to: Spaces, *, whose: str, number: int) -> Trajectory:
    check_shapes(whose, (trajectory.observations.shape[1:], trajectory.actions.shape[1:]), to)
    _check_values(trajectory, to[1], whose=whose, number=number)
    actions = trajectory.actions.astype(to[1].dtype or np.float32)
    if isinstance(to[1], spaces.Discrete):
        if trajectory.actions.dtype.kind not in "iu" or actions.min() < 0 or actions.max() >= to[1].n:
            raise BadInput(f"{whose} has actions other than whole numbers below {to[1].n}; expected {to[1]}")
    return replace(
        trajectory,
        observations=trajectory.observations.astype(to[0].dtype or np.float32),
        actions=actions,
        rewards=trajectory.rewards.astype(np.float32),
        # With rounded actions, the episode wouldn't replay.
        origin=trajectory.origin if np.array_equal(actions, trajectory.actions) else None,
    )


def _check_values(trajectory: Trajectory, space: Space[Any], *, whose: str, number: int) -> None:
    """Refuse observations and actions that aren't finite, and actions outside a Box by more than rounding."""
    actions = trajectory.actions
    inside = np.ones(actions.shape, bool)
    if isinstance(space, spaces.Box):
        inside = (actions >= space.low - _rounding(space.low)) & (actions <= space.high + _rounding(space.high))
    for what, array, right, expected in (
        ("observation", trajectory.observations, _are_finite(trajectory.observations), "finite numbers"),
        ("action", actions, _are_finite(actions), "finite numbers"),
        ("action", actions, inside, f"one in {space}"),
    ):
        if not right.all():
            step = int(np.argwhere(~right)[0, 0])
            raise BadInput(
                f"{whose} has {what} {reprlib.repr(array[step].tolist())} in trajectory {number}, step {step}; expected"
                f" {expected}: correct the recording, or leave the trajectory out"
            )


def _are_finite(array: Array) -> Array:
    """Test each value, also once it is rounded to float32."""
    return np.asarray(np.abs(array) <= np.finfo(np.float32).max)


def _rounding(bound: Array) -> Array:
    return np.asarray(1e-5 * np.maximum(1, np.abs(bound)))


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


def check_length(trajectories: Sequence[Trajectory], length: int, *, whose: str) -> None:
    """Refuse trajectories that no segment can be cut from.

    Raises:
        BadInput: Naming the longest.
    """
    try:
        count_windows(trajectories, length)
    except BadInput as error:
        longest = max(map(len, trajectories), default=0)
        raise BadInput(
            f"{whose} holds {len(trajectories)} trajectories, the longest of {longest} steps, and segment_length is "
            f"{length}; use segment_length <= {max(longest, 1)}, or longer ones"
        ) from error
