"""Check that a replay buffer fits in memory; SB3 only warns, and the run would die as the buffer fills up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from rlhf_gym.errors import BadInput

GIB = 1024**3
FLAGS_AND_REWARD = 3 * 4  # bytes a step: reward, done and timeout, float32 each
CGROUPS = Path("/sys/fs/cgroup")


def bytes_per_step(venv: VecEnv) -> int:
    """Count the bytes SB3's ReplayBuffer keeps of one environment's step: both observations, action, reward, flags.

    SB3 stores float64 actions as float32.
    """
    observation = _bytes(venv.observation_space)
    action = _bytes(venv.action_space)
    if isinstance(venv.action_space, spaces.Box) and venv.action_space.dtype == np.float64:
        action //= 2
    return 2 * observation + action + FLAGS_AND_REWARD


def check_replay_fits(venv: VecEnv, buffer_size: int, *, total_timesteps: int, available: int | None) -> None:
    """Refuse a replay buffer that will need more memory than there is.

    Args:
        venv: The environments whose steps it keeps.
        buffer_size: Size of the buffer, in steps of all environments together.
        total_timesteps: Steps of the run; the buffer's memory beyond them is never touched.
        available: Bytes of memory available; None is unknown, and nothing is refused.

    Raises:
        BadInput: Saying how much it needs, and what to set.
    """
    each, held = bytes_per_step(venv), min(buffer_size, total_timesteps)
    if available is None or held * each <= available:
        return
    raise BadInput(
        f"option buffer_size is {buffer_size}, of which the run fills {held} steps of {each} bytes, "
        f"{held * each / GIB:.1f} GiB, and {available / GIB:.1f} GiB of memory can be had; set "
        f"agent.options.buffer_size to at most {available // each // 2}, which leaves half for all else"
    )


def available_memory() -> int | None:
    """Return the bytes still available to this process, by the machine and its control groups; None if unknown."""
    found = [*_of_machine(Path("/proc/meminfo")), *_of_groups(CGROUPS, Path("/proc/self/cgroup"))]
    return min(found, default=None)


def _of_machine(meminfo: Path) -> Iterator[int]:
    """Read Linux's estimate of the memory available without swapping, in bytes."""
    for line in _lines(meminfo):
        if line.startswith("MemAvailable:"):
            yield int(line.split()[1]) * 1024


def _of_groups(root: Path, membership: Path) -> Iterator[int]:
    """Read the bytes that each of the process's control groups has left, in version 2 or version 1's `memory`.

    Limits may be set on a group or its parents; cached files that could be dropped count as free.
    """
    for line in _lines(membership):
        _, controllers, place = line.split(":", 2)
        if controllers in ("", "memory"):
            top, names = (root, ("memory.max", "memory.current", "inactive_file"))
            if controllers:
                top, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            group = top / place.lstrip("/")
            for each in (group, *group.parents):
                if each.is_relative_to(top):
                    yield from _left(each, *names)


def _left(group: Path, limit: str, usage: str, inactive: str) -> Iterator[int]:
    limits, used = _lines(group / limit), _lines(group / usage)
    if limits and used and limits[0].isdigit():  # without a limit it says max
        droppable = [int(line.split()[1]) for line in _lines(group / "memory.stat") if line.startswith(f"{inactive} ")]
        yield max(0, int(limits[0]) - int(used[0]) + sum(droppable))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _bytes(space: spaces.Space[object]) -> int:
    dtype, shape = np.dtype(space.dtype), space.shape or ()
    return int(dtype.itemsize * np.prod(shape, dtype=int)) if shape else dtype.itemsize
