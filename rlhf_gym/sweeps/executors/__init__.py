"""Executors, which do the runs of a table: one file each."""

from __future__ import annotations

from pathlib import Path

from rlhf_gym.errors import BadInput
from rlhf_gym.sweeps.executors.executor import Executor
from rlhf_gym.sweeps.executors.local import locally
from rlhf_gym.sweeps.executors.on_ray import ADDRESS, HERE, on_ray

PROCESSES = "processes"


def executor(where: str, *, code: Path | None = None) -> Executor:
    """Find an executor by its name.

    Args:
        where: `processes` on this machine; `ray`, a new cluster on this machine; or `ray://ADDRESS` of an existing one.
        code: For a cluster, the folder of the code that its runs need and that isn't installed there.

    Raises:
        BadInput: If there is none of that name, or Ray isn't installed.
    """
    if where == PROCESSES:
        return locally
    if where == HERE or where.startswith(ADDRESS):
        return on_ray(where, code)
    raise BadInput(f"--on is {where!r}; use {PROCESSES}, {HERE}, or {ADDRESS}HOST:PORT of a cluster")


__all__ = ["PROCESSES", "Executor", "executor", "locally"]
