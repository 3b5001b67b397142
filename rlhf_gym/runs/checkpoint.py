"""Checkpoints: the state from which a run goes on after its last finished round."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rlhf_gym.envs import Recorder
from rlhf_gym.errors import BadInput
from rlhf_gym.methods import Method
from rlhf_gym.runs.stopwatch import Stopwatch
from rlhf_gym.segments import Ending, Origin, Trajectory

CHECKPOINTS = "checkpoints"
ARRAYS = ("observations", "actions", "rewards")


def save_checkpoint(directory: Path, finished: int, method: Method, recorder: Recorder, watch: Stopwatch) -> None:
    """Write a checkpoint, then delete all older ones but one; if writing is cut off, an older one is complete.

    Args:
        directory: Of the run's checkpoints.
        finished: The round that was finished.
        method: Writes its own state.
        recorder: Its trajectories and counts are written.
        watch: Likewise its times.
    """
    new, place = directory / "new", directory / f"{finished:06d}"
    for leftover in (new, place):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    method.save_state(new)
    trajectories = recorder.trajectories()
    save_file(_arrays(trajectories), new / "trajectories.safetensors")
    state = {
        "env_steps": recorder.steps,
        "terminations": recorder.terminations,
        "parts": dict(watch.parts),
        "seconds": watch.seconds,
        "episodes": [{"ending": t.ending.value, "origin": t.origin and asdict(t.origin)} for t in trajectories],
    }
    (new / "state.json").write_text(json.dumps(state))
    new.rename(place)
    for old in _places(directory)[:-2]:  # a power cut may take the last one with it
        shutil.rmtree(old, ignore_errors=True)


def restore_checkpoint(directory: Path, method: Method, recorder: Recorder) -> Stopwatch | None:
    """Restore the last checkpoint, in place.

    Args:
        directory: Where :func:`save_checkpoint` wrote.
        method: Becomes what it was.
        recorder: Likewise.

    Returns:
        The times so far; None if there is no checkpoint.

    Raises:
        BadInput: If it is damaged.
    """
    if not (places := _places(directory)):
        return None
    place = places[-1]
    try:
        state = json.loads((place / "state.json").read_text())
        trajectories = _trajectories(state["episodes"], load_file(place / "trajectories.safetensors"))
        method.restore(place)
        recorder.restore(trajectories, steps=state["env_steps"], terminations=state["terminations"])
        return Stopwatch(state["parts"], state["seconds"])
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise BadInput(
            f"checkpoint {place} is damaged ({error}); remove it, and the run begins again with all answers"
        ) from error


def next_round(directory: Path) -> int:
    """Find the round that comes after the last checkpoint in a directory, 0 if there is none."""
    return max((int(place.name) + 1 for place in _places(directory)), default=0)


def _places(directory: Path) -> list[Path]:
    return sorted(place for place in directory.glob("*") if place.name.isdigit())


def _arrays(trajectories: Sequence[Trajectory]) -> dict[str, Any]:
    return {
        f"{name} {i}": np.ascontiguousarray(getattr(trajectory, name))
        for i, trajectory in enumerate(trajectories)
        for name in ARRAYS
    }


def _trajectories(episodes: Sequence[Mapping[str, Any]], arrays: Mapping[str, Any]) -> list[Trajectory]:
    return [
        Trajectory(
            **{name: arrays[f"{name} {i}"] for name in ARRAYS},
            ending=Ending(episode["ending"]),
            origin=Origin(**episode["origin"]) if episode["origin"] else None,
        )
        for i, episode in enumerate(episodes)
    ]
