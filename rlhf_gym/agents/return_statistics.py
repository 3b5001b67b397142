"""Write, restore and restart the running return statistics by which SB3's VecNormalize divides rewards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.segments import Array

StatisticsAfterFit = Literal["keep", "restart"]
RETURNS = "return_statistics.json"


def write_statistics(venv: VecNormalize, folder: Path) -> None:
    """Write mean, variance and count; :mod:`rlhf_gym.agents.state` writes the running returns of episodes."""
    found = {name: float(getattr(venv.ret_rms, name)) for name in ("mean", "var", "count")}
    (folder / RETURNS).write_text(json.dumps(found) + "\n")


def restore_statistics(venv: VecNormalize, folder: Path) -> None:
    """Restore in place what :func:`write_statistics` wrote; without its file, nothing changes.

    Raises:
        BadInput: If the file is damaged.
    """
    path = folder / RETURNS
    if not path.exists():
        return
    try:
        found = json.loads(path.read_text())
        mean, var, count = (float(found[name]) for name in ("mean", "var", "count"))
    except UNREADABLE as error:
        raise BadInput(f"{path} is damaged ({error}); expected mean, var and count") from error
    venv.ret_rms.mean, venv.ret_rms.var, venv.ret_rms.count = np.array(mean), np.array(var), count


def restart_statistics(venv: VecNormalize, rewards: Sequence[Array]) -> None:
    """Restart the statistics from the new reward's returns on the latest trajectories.

    Args:
        venv: Changed in place; the running returns are set to 0.
        rewards: Rewards of each trajectory, not normalised, shape (L,) each.
    """
    from scipy.signal import lfilter  # slow to import, and most runs don't need it

    venv.ret_rms = RunningMeanStd(shape=())
    venv.returns = np.zeros(venv.num_envs)
    venv.ret_rms.update(np.concatenate([lfilter([1.0], [1.0, -venv.gamma], each) for each in rewards]))
