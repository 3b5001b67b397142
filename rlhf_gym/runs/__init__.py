"""The files of a run: written while it learns, read back afterwards."""

from rlhf_gym.runs.directory import (
    FolderLock,
    Round,
    Run,
    RunDirectory,
    Stopwatch,
    metrics_so_far,
    read_run,
    unfinished_run,
)

__all__ = [
    "FolderLock",
    "Round",
    "Run",
    "RunDirectory",
    "Stopwatch",
    "metrics_so_far",
    "read_run",
    "unfinished_run",
]
