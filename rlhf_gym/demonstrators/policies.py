"""Loading of a policy that a setting names, checked against the environment of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from gymnasium import Space, spaces

from rlhf_gym.agents import Actor, load_actor
from rlhf_gym.agents.images import are_images
from rlhf_gym.envs.recordings import MINARI, Spaces, check_shapes
from rlhf_gym.errors import BadInput


def policy_file(place: str, *, setting: str) -> Path | None:
    """Find the file of a policy; None if trajectories are meant.

    Args:
        place: A run directory, a file with a policy, a file with trajectories, or `minari:ID`.
        setting: The setting that names it.

    Raises:
        BadInput: If the place doesn't exist, or is a directory without a policy.
    """
    if place.startswith(MINARI):
        return None
    path = Path(place)
    if not path.exists():
        raise BadInput(
            f"{setting} is {place}, which isn't there; use a run directory, a policy's file, a file of "
            "save_trajectories, or minari:ID"
        )
    if not path.is_dir():
        return path if is_zipfile(path) else None
    if not (path / "policy.zip").is_file():
        raise BadInput(f"{setting} is {place}, which holds no policy.zip; use the directory of a whole run")
    return path / "policy.zip"


def load_policy_for(path: Path, here: Spaces, *, whose: str) -> Actor:
    """Load a policy that fits the run; its pickled parts are executed: use only one whose origin you know.

    Args:
        path: As :func:`policy_file` found it.
        here: The run's spaces.
        whose: What to call it in an error message.

    Raises:
        BadInput: If it can't be read, or was learned in another environment.
    """
    policy = load_actor(path)
    seen = _shape(policy.observation_space)
    if are_images(policy.observation_space) and seen != here[0].shape:
        seen = (*seen[1:], seen[0])  # SB3 has put an image's channels first
    check_shapes(whose, (seen, _shape(policy.action_space)), here)
    if not _same_actions(policy.action_space, here[1]):
        raise BadInput(f"{whose} takes actions {policy.action_space}, and the run's environment {here[1]}; use another")
    return policy


def _shape(space: Space[Any]) -> tuple[int, ...]:
    return tuple(space.shape or ())


def _same_actions(one: Space[Any], other: Space[Any]) -> bool:
    if isinstance(one, spaces.Discrete) and isinstance(other, spaces.Discrete):
        return bool(one.n == other.n)
    return type(one) is type(other)
