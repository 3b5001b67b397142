"""Provenance of a result: versions, commit, machine, memory."""

from __future__ import annotations

import math
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from rlhf_gym.config.passwords import command_without_passwords

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

PACKAGES = ("rlhf_gym", "gymnasium", "stable_baselines3", "torch", "numpy", "mujoco")


def provenance(command: str | None = None, *, own: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Collect what made a result: versions, commit, machine, command.

    Args:
        command: The command line; None takes this process's.
        own: The user's own parts, such as a teacher, by the setting that names each; None leaves them out.
    """
    words = [Path(sys.argv[0]).name, *sys.argv[1:]]
    return {
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "commit": _commit(),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
        **({} if own is None else {"own": dict(own)}),
        "command": command if command is not None else command_without_passwords(words),
    }


def peak_rss_mb() -> float:
    """Measure the most memory this process has held so far, in MB; nan where the system doesn't tell."""
    if resource is None:
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Find the commit of the running code, '+dirty' if it was changed since; None outside a checkout."""
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    try:
        # Without this, an installed package would report the commit of a checkout around its virtual environment.
        subprocess.run([*git, "ls-files", "--error-unmatch", here.name], capture_output=True, check=True)
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        package = str(here.parents[1])
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no", "--", package], capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+dirty" if changed.stdout else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        return f"{sum(line.startswith('processor') for line in lines)} x {name}"
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
