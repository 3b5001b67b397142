"""The policy of a run directory, made from the run's settings without unpickling anything in policy.zip."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from rlhf_gym.agents import Agent, check_layers, replays
from rlhf_gym.agents.state import weights
from rlhf_gym.assembly import make_policy, make_recorder, random_streams
from rlhf_gym.config import RLHFConfig
from rlhf_gym.envs import VecLearnedReward
from rlhf_gym.errors import BadInput

LEAST = {"n_steps": 2, "batch_size": 2}  # the least allowed, since it won't learn


def saved_policy(directory: Path, config: RLHFConfig) -> Agent:
    """Read a run's policy, to predict with; its environment is closed again.

    Args:
        directory: The run directory.
        config: Its settings, whose environment and algorithm are code that may run (:mod:`rlhf_gym.trust`).

    Raises:
        BadInput: If policy.zip is missing, damaged, of other settings, or has weights that aren't finite.
    """
    if not (directory / "policy.zip").is_file():
        raise BadInput(f"{directory} holds no policy.zip; use the directory of a finished run: rlhf-gym resume goes on")
    check_layers(config.agent.net_arch, directory / "policy.zip")
    options = {name: value for name, value in LEAST.items() if name in config.agent.options}
    options |= {"buffer_size": 1} if replays(config.algo) else {}
    config = config.replace(agent={"n_envs": 1, "options": options})
    streams = random_streams(config.seed)
    with closing(VecLearnedReward(make_recorder(config, streams["envs"]))) as venv:
        agent = make_policy(config, venv, streams["agent"])
    agent.restore(directory)
    if not all(np.isfinite(array).all() for array in weights(agent.sb3).values()):
        raise BadInput(f"the weights in {directory / 'policy.zip'} are nan or infinite; bring it back, or train again")
    return agent
