"""The files of a run: written while it learns, read back afterwards."""

from rlhf_gym.runs.budget import run_to_resume
from rlhf_gym.runs.directory import FolderLock, Run, RunDirectory, is_saved, read_run, read_so_far, unfinished_run
from rlhf_gym.runs.metrics import Round, metrics_so_far
from rlhf_gym.runs.stopwatch import Stopwatch

__all__ = [
    "FolderLock",
    "Round",
    "Run",
    "RunDirectory",
    "Stopwatch",
    "metrics_so_far",
    "read_run",
    "read_so_far",
    "run_to_resume",
    "is_saved",
    "unfinished_run",
]
