"""Write an algorithm's state to a folder, and restore it in place."""

from __future__ import annotations

import inspect
import json
from collections import deque
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.vec_env import VecEnvWrapper, VecTransposeImage, unwrap_vec_wrapper

from rlhf_gym.agents.archive import check_unpacked_size
from rlhf_gym.agents.jax_state import arrays, in_jax, restore_arrays
from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.generators import go_to, state_of
from rlhf_gym.segments import Array

POLICY, EPISODES, RUNNING, REPLAY = "policy.zip", "episodes.json", "running.json", "replay.safetensors"
ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
DAMAGED = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, EOFError),
    *(UnpicklingError, SafetensorError, BadZipFile, NotImplementedError),
)


def write_state(sb3: BaseAlgorithm, folder: Path, generators: Mapping[str, np.random.Generator]) -> None:
    """Write what policy.zip lacks or only pickles: the latest episodes' figures, running episodes, generators."""
    (folder / EPISODES).write_text(json.dumps(list(sb3.ep_info_buffer or ()), default=float))
    sampler, statistics = sb3.action_space._np_random, sb3.get_vec_normalize_env()
    running = {
        "begun": sb3._last_obs is not None,
        "starts": np.asarray(sb3._last_episode_starts).tolist(),
        "returns": statistics and statistics.returns.tolist(),
        "sampler": sampler and state_of(sampler),
        "generators": {name: state_of(rng) for name, rng in generators.items()},
    }
    (folder / RUNNING).write_text(json.dumps(running))


def weights(sb3: BaseAlgorithm) -> dict[str, Array]:
    """Copy the weights of all networks, target networks included, by name."""
    if in_jax(type(sb3)):
        return {name: array for name, array in arrays(sb3).items() if ".params" in name or ".target_params" in name}
    return {name: tensor.numpy(force=True).copy() for name, tensor in sb3.policy.state_dict().items()}


def restore_state(sb3: BaseAlgorithm, folder: Path) -> None:
    """Restore weights, optimizers, counters and the latest episodes' figures; nothing is unpickled.

    Raises:
        BadInput: If policy.zip is missing, damaged or of another algorithm.
    """
    try:
        check_unpacked_size(folder / POLICY)
        _, parameters, tensors = load_from_zip_file(folder / POLICY, load_data=False, device=sb3.device)
        counters = _counters(sb3, folder / POLICY)
        sb3.set_parameters(parameters, device=sb3.device)
        for name, tensor in (tensors or {}).items():
            if tensor is not None:  # it is None in SAC with a fixed entropy coefficient
                attrgetter(name)(sb3).data.copy_(tensor)
        if in_jax(type(sb3)):
            restore_arrays(sb3, folder)
    except DAMAGED as error:
        raise BadInput(
            f"{folder / POLICY} can't be read as a policy of {type(sb3).__name__} here: "
            f"{str(error) or type(error).__name__}"
        ) from error
    vars(sb3).update(counters)
    sb3._last_obs = None  # SB3 then resets the environments
    path = folder / EPISODES
    episodes = json.loads(path.read_text()) if path.exists() else ()
    sb3.ep_info_buffer = deque(episodes, maxlen=sb3._stats_window_size)
    sb3.ep_success_buffer = deque(maxlen=sb3._stats_window_size)


def go_on(
    sb3: BaseAlgorithm,
    folder: Path,
    generators: Mapping[str, np.random.Generator],
    observations: Array,
    same: Array,
) -> None:
    """Let the next training continue episodes that were running, if any, instead of a reset.

    Args:
        sb3: The algorithm, restored from the same folder.
        folder: The folder that :func:`write_state` wrote to.
        generators: The agent's generators, whose states are restored.
        observations: The latest observations, shape (n_envs, *obs).
        same: Whether each episode continues, bool, shape (n_envs,); the others have just begun.
    """
    running = json.loads((folder / RUNNING).read_text())
    if running["begun"]:
        images = unwrap_vec_wrapper(sb3.env, VecTransposeImage) if isinstance(sb3.env, VecEnvWrapper) else None
        sb3._last_obs = images.transpose_observations(observations) if images else observations
        sb3._last_episode_starts = np.where(same, running["starts"], True)
    if (statistics := sb3.get_vec_normalize_env()) is not None:
        statistics.returns = np.where(same, running["returns"], 0.0)
    if running["sampler"]:
        go_to(sb3.action_space.np_random, running["sampler"])
    for name, rng in generators.items():
        go_to(rng, running["generators"][name])


def _counters(sb3: BaseAlgorithm, path: Path) -> dict[str, Any]:
    """Read an algorithm's counters, its numbers that aren't settings, from policy.zip, of older checkpoints too."""
    with ZipFile(path) as archive:
        saved = json.loads(archive.read("data"))
    settings = {*inspect.signature(type(sb3)).parameters, "n_envs"}
    return {
        name: value
        for name, value in saved.items()
        if type(value) in (int, float) and name in vars(sb3) and name not in settings
    }


def write_replay(buffer: ReplayBuffer, folder: Path) -> None:
    """Write the transitions that a replay buffer holds."""
    arrays = {name: getattr(buffer, name)[: buffer.size()] for name in ARRAYS}
    save_file({**arrays, "pos": np.array([buffer.pos])}, folder / REPLAY)


def restore_replay(buffer: ReplayBuffer, folder: Path) -> None:
    """Fill a replay buffer with what :func:`write_replay` wrote; without its file, empty the buffer.

    Raises:
        BadInput: If the file is damaged, or its transitions don't fit the buffer.
    """
    buffer.reset()
    path = folder / REPLAY
    if not path.exists():
        return
    try:
        arrays = load_file(path)
        size = len(arrays["rewards"])
        for name in ARRAYS:
            getattr(buffer, name)[:size] = arrays[name]
        buffer.full = size == buffer.buffer_size
        buffer.pos = int(arrays["pos"][0]) if buffer.full else size
    except (OSError, SafetensorError, *UNREADABLE) as error:
        reason = f"{path} doesn't fit this replay buffer: {error}"
        raise BadInput(f"{reason}; use the settings it was written with") from error
