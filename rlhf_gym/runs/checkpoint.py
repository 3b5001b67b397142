"""Checkpoints: the state from which a run goes on after a finished round, as if it hadn't been interrupted."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rlhf_gym.envs import Recorder
from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.files import to_disk
from rlhf_gym.methods import Method
from rlhf_gym.runs.checksums import SUMS, find_damage, write_checksums
from rlhf_gym.runs.stopwatch import Stopwatch
from rlhf_gym.segments import Array, Ending, Origin, Trajectory

CHECKPOINTS = "checkpoints"
TRAJECTORIES = ("trajectories.safetensors", "shown.safetensors")
ARRAYS = ("observations", "actions", "rewards")


class Rest(Protocol):
    """State of a run besides its method and its recorders."""

    def write(self, folder: Path) -> None:
        """Write the state into the folder of a checkpoint."""

    def restore(self, folder: Path, same: Sequence[Array]) -> None:
        """Restore the state and go on with running episodes, after method and recorders were restored.

        Args:
            folder: Where it was written; a checkpoint of an earlier version lacks it.
            same: For each recorder, whether each environment's episode goes on, shape (n_envs,).
        """


def save_checkpoint(
    directory: Path,
    finished: int,
    method: Method,
    recorders: Sequence[Recorder],
    watch: Stopwatch,
    *,
    rest: Rest | None = None,
    keep: int = 2,
) -> None:
    """Write a checkpoint, then delete the oldest ones; if writing is interrupted, older ones stay complete.

    Args:
        directory: Directory of the run's checkpoints.
        finished: Number of the finished round.
        method: Writes its own state.
        recorders: Recorders whose trajectories and counts are written: of steps learned from, then of steps only shown.
        watch: Stopwatch whose times are written.
        rest: Writes all other state.
        keep: Number of checkpoints to keep.

    Raises:
        OSError: If it can't be written, as on a full disk; the incomplete checkpoint is removed.
    """
    new, place = directory / "new", directory / f"{finished:06d}"
    for leftover in (new, place):
        shutil.rmtree(leftover, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        _write_state(new, method, recorders, watch)
        if rest:
            rest.write(new)
        write_checksums(new)
    except BaseException as error:
        shutil.rmtree(new, ignore_errors=True)
        if isinstance(error, SafetensorError):  # raised on a full disk, too
            raise OSError(f"checkpoint {place} can't be written: {error}") from error
        raise
    new.rename(place)
    to_disk(directory)
    for old in _places(directory)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)


def _write_state(new: Path, method: Method, recorders: Sequence[Recorder], watch: Stopwatch) -> None:
    """Write the state of method, recorders and stopwatch into a folder."""
    method.save_state(new)
    first, *shown = [_write(recorder, new / file) for recorder, file in zip(recorders, TRAJECTORIES, strict=False)]
    state = {**first, "shown": shown, "parts": dict(watch.parts), "seconds": watch.seconds}
    (new / "state.json").write_text(json.dumps(state))


def restore_checkpoint(
    directory: Path, method: Method, recorders: Sequence[Recorder], *, rest: Rest | None = None
) -> Stopwatch | None:
    """Restore the last checkpoint, in place.

    Args:
        directory: Where :func:`save_checkpoint` wrote.
        method: Restored from its own state.
        recorders: Restored from their trajectories and counts.
        rest: Restores all other state.

    Returns:
        The times so far; None if there is no checkpoint.

    Raises:
        BadInput: If an earlier version wrote it, without checksums, and it is damaged.
    """
    if not (places := _places(directory)):
        return None
    place = places[-1]
    try:
        state = json.loads((place / "state.json").read_text())
        kept = [state, *state.get("shown", ())]  # earlier versions showed only steps learned from
        arrays = [load_file(place / file) for _, file in zip(kept, TRAJECTORIES, strict=False)]
        method.restore(place)
        same = []
        for recorder, counts, steps in zip(recorders, kept, arrays, strict=False):
            so_far = {"steps": counts["env_steps"], "terminations": counts["terminations"]}
            trajectories = _trajectories(counts["episodes"], steps)
            same.append(recorder.restore(trajectories, **so_far, running=counts.get("running")))
        if rest:
            rest.restore(place, same)
        return Stopwatch(state["parts"], state["seconds"])
    except (OSError, SafetensorError, *UNREADABLE) as error:
        if (place / SUMS).exists():  # its checksums were right, so something else is wrong
            raise
        raise BadInput(
            f"checkpoint {place} is damaged ({error}); remove it, and the run goes on from the one before "
            "it, or begins again with all answers"
        ) from error


def set_damaged_aside(directory: Path) -> None:
    """Rename the latest checkpoints if they are damaged, so that the last undamaged one is the latest.

    Each is named in a line on stderr.

    Raises:
        BadInput: If there are checkpoints, and all of them are damaged.
    """
    places, damaged = _places(directory), []
    while places and (damage := find_damage(places[-1])):
        damaged.append((places.pop(), damage))
    if not damaged:
        return
    told = [f"checkpoint {place} is damaged ({damage})" for place, damage in damaged]
    if not places:
        raise BadInput(f"{'; '.join(told)}; remove what is in {directory}, and the run begins again with all answers")
    for (place, _), line in zip(damaged, told, strict=True):
        aside = place.with_suffix(".damaged")
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
        print(f"{line}; going on from {places[-1].name}", file=sys.stderr)


def next_round(directory: Path) -> int:
    """Find the round that comes after the last checkpoint in a directory, 0 if there is none."""
    return max((int(place.name) + 1 for place in _places(directory)), default=0)


def _places(directory: Path) -> list[Path]:
    return sorted(place for place in directory.glob("*") if place.name.isdigit())


def _write(recorder: Recorder, file: Path) -> dict[str, Any]:
    """Write the arrays that a recorder keeps, and return its counts and the rest of its state."""
    trajectories = recorder.trajectories()
    save_file(_arrays(trajectories), file)
    episodes = [{"ending": t.ending.value, "origin": t.origin and asdict(t.origin)} for t in trajectories]
    counts = {"env_steps": recorder.steps, "terminations": recorder.terminations}
    return {**counts, "episodes": episodes, "running": recorder.running()}


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
