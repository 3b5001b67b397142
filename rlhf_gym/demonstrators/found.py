"""From the setting `feedback.demonstrator` to what is shown."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
from gymnasium import Space, spaces

from rlhf_gym.agents import load_actor
from rlhf_gym.demonstrators.playing import Act, playing
from rlhf_gym.demonstrators.recorded import Spaces, check_shapes, fitted, recorded
from rlhf_gym.envs import load_trajectories, make_env
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Origin, Trajectory, count_windows
from rlhf_gym.teachers import Shows

MINARI = "minari:"


def find_demonstrator(place: str, origin: Origin, *, length: int, corrects: bool, rng: np.random.Generator) -> Shows:
    """Find what a teacher shows, and hold it against the environment that it shall be shown in.

    Args:
        place: A run directory; a file with a policy, of a run or of Stable-Baselines3's `save`, whose pickled parts are
            run; a file of :func:`rlhf_gym.envs.save_trajectories`; or `minari:ID`, a Minari dataset on this machine.
        origin: The environment; its seed isn't used.
        length: Steps of a segment.
        corrects: Whether it will be asked to go on from a given state, which a recording can't.
        rng: Draws what is random.

    Raises:
        BadInput: If there is none, it can't be read, or it is of another environment.
        ImportError: If it is a Minari dataset, and Minari isn't installed.
    """
    with closing(make_env(origin)) as env:
        here = env.observation_space, env.action_space
    whose = f"feedback.demonstrator {place}"
    if (policy := _policy_file(place)) is not None:
        return playing(_load_act(policy, here, whose=whose), origin, rng=rng)
    if corrects:
        raise BadInput(
            f"{whose} holds recorded trajectories, which can't go on from where a correction starts; use a run "
            "directory or a policy's file, or ask for a demonstration alone"
        )
    trajectories = [fitted(trajectory, here, whose=whose) for trajectory in _load(place)]
    _check_length(trajectories, length, whose=whose)
    return recorded(trajectories, rng=rng)


def _policy_file(place: str) -> Path | None:
    """Find the file of a policy; None if trajectories are meant.

    Raises:
        BadInput: If nothing is there, or a directory without a policy.
    """
    if place.startswith(MINARI):
        return None
    path = Path(place)
    if not path.exists():
        raise BadInput(
            f"feedback.demonstrator is {place}, which isn't there; use a run directory, a policy's file, a file of "
            "save_trajectories, or minari:ID"
        )
    if not path.is_dir():
        return path if is_zipfile(path) else None
    if not (path / "policy.zip").is_file():
        raise BadInput(f"feedback.demonstrator is {place}, which holds no policy.zip; use the directory of a whole run")
    return path / "policy.zip"


def _load_act(path: Path, here: Spaces, *, whose: str) -> Act:
    """Load a policy, which acts without exploring.

    Raises:
        BadInput: If it was learned in another environment.
    """
    policy = load_actor(path)
    check_shapes(whose, (_shape(policy.observation_space), _shape(policy.action_space)), here)
    if not _same_actions(policy.action_space, here[1]):
        raise BadInput(f"{whose} takes actions {policy.action_space}, and the run's environment {here[1]}; use another")
    return lambda observation: policy.predict(observation, deterministic=True)[0]


def _shape(space: Space[Any]) -> tuple[int, ...]:
    return tuple(space.shape or ())


def _same_actions(one: Space[Any], other: Space[Any]) -> bool:
    if isinstance(one, spaces.Discrete) and isinstance(other, spaces.Discrete):
        return bool(one.n == other.n)
    return type(one) is type(other)


def _load(place: str) -> list[Trajectory]:
    if not place.startswith(MINARI):
        return load_trajectories(place)
    from rlhf_gym.envs.minari_datasets import trajectories_from_minari

    return trajectories_from_minari(place.removeprefix(MINARI))


def _check_length(trajectories: list[Trajectory], length: int, *, whose: str) -> None:
    try:
        count_windows(trajectories, length)
    except BadInput as error:
        longest = max(map(len, trajectories), default=0)
        raise BadInput(
            f"{whose} holds {len(trajectories)} trajectories, the longest of {longest} steps, and segment_length is "
            f"{length}; use segment_length <= {max(longest, 1)}, or longer ones"
        ) from error
