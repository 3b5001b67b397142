"""Save trajectories to a file and load them, for use by a run that didn't record them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Array, Ending, Origin, Trajectory

ARRAYS = ("observations", "actions", "rewards")
EPISODES = "rlhf_gym trajectories"  # key in the file's header


def save_trajectories(path: str | Path, trajectories: Sequence[Trajectory]) -> None:
    """Write trajectories to a safetensors file, bit for bit, with their endings and origins.

    Args:
        path: File to write; an existing one is replaced.
        trajectories: At least one.

    Raises:
        BadInput: If there are none, or keyword arguments of an environment can't be written as JSON.
    """
    if not trajectories:
        raise BadInput("got no trajectories to save; expected at least one")
    arrays = {
        f"{name} {i}": np.ascontiguousarray(getattr(trajectory, name))
        for i, trajectory in enumerate(trajectories)
        for name in ARRAYS
    }
    save_file(arrays, path, metadata={EPISODES: json.dumps([_episode(trajectory) for trajectory in trajectories])})


def load_trajectories(path: str | Path) -> list[Trajectory]:
    """Read what :func:`save_trajectories` wrote.

    Raises:
        BadInput: If the file is missing, damaged, or of another format.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            episodes = json.loads((file.metadata() or {})[EPISODES])
            return [_trajectory(file.get_tensor, i, episode) for i, episode in enumerate(episodes)]
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = (
            "there is none" if isinstance(error, FileNotFoundError) else f"it is no such file, or damaged ({error})"
        )
        raise BadInput(f"trajectories {path} can't be read: {reason}; use a file of save_trajectories") from error


def _episode(trajectory: Trajectory) -> dict[str, Any]:
    """Collect a trajectory's ending and origin, as JSON values."""
    origin = trajectory.origin
    try:
        kept = origin and asdict(origin) | {"seed": int(origin.seed)}
        json.dumps(kept)
    except TypeError as error:
        raise BadInput(f"env_kwargs of {trajectory!r} can't be saved: {error}; use numbers and text") from error
    return {"ending": trajectory.ending.value, "origin": kept}


def _trajectory(array: Any, number: int, episode: Mapping[str, Any]) -> Trajectory:
    arrays: dict[str, Array] = {name: array(f"{name} {number}") for name in ARRAYS}
    origin = episode["origin"] and Origin(**episode["origin"])
    return Trajectory(**arrays, ending=Ending(episode["ending"]), origin=origin)
