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
TRAJECTORIES = ("trajectories.safetensors", "shown.safetensors")
ARRAYS = ("observations", "actions", "rewards")


def save_checkpoint(
    directory: Path, finished: int, method: Method, recorders: Sequence[Recorder], watch: Stopwatch
) -> None:
    """Write a checkpoint, then delete all older ones but one; if writing is cut off, an older one is complete.

    Args:
        directory: Of the run's checkpoints.
        finished: The round that was finished.
        method: Writes its own state.
        recorders: Their trajectories and counts are written: of the steps learned from, and of those shown alone.
        watch: Likewise its times.
    """
    new, place = directory / "new", directory / f"{finished:06d}"
    for leftover in (new, place):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    method.save_state(new)
    first, *shown = [_write(recorder, new / file) for recorder, file in zip(recorders, TRAJECTORIES, strict=False)]
    state = {**first, "shown": shown, "parts": dict(watch.parts), "seconds": watch.seconds}
    (new / "state.json").write_text(json.dumps(state))
    new.rename(place)
    for old in _places(directory)[:-2]:  # a power cut may take the last one with it
        shutil.rmtree(old, ignore_errors=True)


def restore_checkpoint(directory: Path, method: Method, recorders: Sequence[Recorder]) -> Stopwatch | None:
    """Restore the last checkpoint, in place.

    Args:
        directory: Where :func:`save_checkpoint` wrote.
        method: Becomes what it was.
        recorders: Likewise.

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
        kept = [state, *state.get("shown", ())]  # earlier versions showed nothing but what was learned from
        arrays = [load_file(place / file) for _, file in zip(kept, TRAJECTORIES, strict=False)]
        method.restore(place)
        for recorder, counts, steps in zip(recorders, kept, arrays, strict=False):
            trajectories = _trajectories(counts["episodes"], steps)
            recorder.restore(trajectories, steps=counts["env_steps"], terminations=counts["terminations"])
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


def _write(recorder: Recorder, file: Path) -> dict[str, Any]:
    """Write what a recorder keeps; returns its counts and what is no array."""
    trajectories = recorder.trajectories()
    save_file(_arrays(trajectories), file)
    episodes = [{"ending": t.ending.value, "origin": t.origin and asdict(t.origin)} for t in trajectories]
    return {"env_steps": recorder.steps, "terminations": recorder.terminations, "episodes": episodes}


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
