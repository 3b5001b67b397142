"""Runs on a Ray cluster (extra `ray`)."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rlhf_gym.errors import BadInput
from rlhf_gym.sweeps.executors.executor import Executor

HERE = "ray"  # a cluster on this machine that this command starts and ends
ADDRESS = f"{HERE}://"
SECONDS_TO_ANSWER = 10.0
LOST_NODES = 3  # times that a run is restarted after losing its node
NOT_SENT = [
    *("/.venv", "/.git", "/results", "/runs", "/sweeps", "/site", "/build"),
    *("*.egg-info", "__pycache__", "*.whl", "*.tgz"),
]


def on_ray(where: str, code: Path | None) -> Executor:
    """Make an executor on a Ray cluster.

    Each run is a task with one core, restarted elsewhere if its node is lost. Only what it returns comes back, so no
    folder needs to be shared.

    Args:
        where: `ray`; or `ray://ADDRESS` of a cluster: a client's HOST:10001, or `auto` for the one that this machine
            is a node of.
        code: The folder of the code that the runs need, which is sent to each node; None sends nothing.

    Raises:
        BadInput: If Ray isn't installed; and from the executor, if no cluster answers.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise BadInput(f"--on is {where}, but Ray isn't installed; pip install 'rlhf_gym[ray]'") from error
    return partial(_on_cluster, where, code)


def _on_cluster(
    where: str, code: Path | None, todo: Sequence[Any], execute: Callable[[Any], Any], *, jobs: int
) -> Iterator[tuple[Any, Any | Exception]]:
    import ray

    if not todo:
        return
    _connect(where, code, jobs)
    try:
        task = ray.remote(num_cpus=1, max_retries=LOST_NODES)(execute)
        doing = {task.remote(job): job for job in todo}
        while doing:
            (ended, *_), _ = ray.wait(list(doing))
            try:
                made = ray.get(ended)
            except Exception as error:
                made = getattr(error, "cause", None) or error
            yield doing.pop(ended), made
    finally:
        ray.shutdown()


def _connect(where: str, code: Path | None, jobs: int) -> None:
    """Join the cluster, or start one of `jobs` cores."""
    import ray

    sent = {"working_dir": str(code), "excludes": NOT_SENT} if code else {}
    shared: dict[str, Any] = {"runtime_env": sent, "log_to_driver": False}
    address = where.removeprefix(ADDRESS)
    try:
        if where == HERE:
            ray.init("local", num_cpus=jobs, include_dashboard=False, **shared)
        elif address == "auto":
            _knock(os.environ.get("RAY_ADDRESS", ""))
            ray.init("auto", **shared)
        else:
            _knock(address)
            ray.init(where, **shared)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadInput(f"--on is {where}, but no cluster answers there ({reason}); see `ray status`") from error


def _knock(address: str) -> None:
    """Check that a server answers at HOST:PORT; Ray itself would wait for minutes.

    Raises:
        OSError: If none does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER).close()
