"""Making of the demonstrator that the setting `feedback.demonstrator` names."""

from __future__ import annotations

from contextlib import closing

import numpy as np

from rlhf_gym.demonstrators.playing import playing
from rlhf_gym.demonstrators.policies import load_policy_for, policy_file
from rlhf_gym.demonstrators.recorded import recorded
from rlhf_gym.envs import make_env
from rlhf_gym.envs.recordings import check_length, fitted, load_recordings
from rlhf_gym.errors import BadInput
from rlhf_gym.segments import Origin
from rlhf_gym.teachers import Shows


def find_demonstrator(place: str, origin: Origin, *, length: int, corrects: bool, rng: np.random.Generator) -> Shows:
    """Make a demonstrator, and check that it fits the environment.

    Args:
        place: A run directory; a file with a policy, of a run or of Stable-Baselines3's `save`, whose pickled parts are
            run; a file of :func:`rlhf_gym.envs.save_trajectories`; or `minari:ID`, a Minari dataset on this machine.
        origin: The environment; its seed isn't used.
        length: Steps of a segment.
        corrects: Whether it has to go on from a given state, which a recording can't.
        rng: Draws seeds and windows.

    Raises:
        BadInput: If there is none, it can't be read, or it is of another environment.
        ImportError: If it is a Minari dataset, and Minari isn't installed.
    """
    with closing(make_env(origin)) as env:
        here = env.observation_space, env.action_space
    whose = f"feedback.demonstrator {place}"
    if (path := policy_file(place, setting="feedback.demonstrator")) is not None:
        policy = load_policy_for(path, here, whose=whose)
        return playing(lambda observation: policy.predict(observation, deterministic=True)[0], origin, rng=rng)
    if corrects:
        raise BadInput(
            f"{whose} holds recorded trajectories, which can't go on from where a correction starts; use a run "
            "directory or a policy's file, or ask for a demonstration alone"
        )
    trajectories = fitted(load_recordings(place), here, whose=whose)
    check_length(trajectories, length, whose=whose)
    return recorded(trajectories, rng=rng)
