"""The state of a run besides its method and recorders, so that a resumed run equals one never interrupted."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any, final

from rlhf_gym.answers import Done
from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.generators import global_states, go_to, go_to_global, state_of
from rlhf_gym.parts import Parts
from rlhf_gym.rewards import RewardFit
from rlhf_gym.runs.directory import ASKED
from rlhf_gym.segments import Array
from rlhf_gym.teachers.teacher import state_as_json

REST = "rest.json"
ASKING = ("queries", "teacher", "shows")  # streams that asking and answering draw from
FIGURES = [field.name for field in fields(RewardFit) if field.name not in ("left_out", "sureness")]


@final
class Resuming:
    """Saves and restores generators, running episodes, the teacher and the answers known, also between checkpoints.

    Queries and answers since the last checkpoint are in the store. The same queries must not be drawn again, and the
    teacher has to go on where it left off, so their states are written whenever something was asked. A round that is
    done again has to see the answers that it saw before, so their numbers are written, too.

    Args:
        parts: Parts of the run.

    Attributes:
        fit: The last fit of the method; None before the first.
        round: Number of the current round.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts, self.round = parts, parts.finished
        self.fit: RewardFit | None = None
        self._saved: dict[str, Any] | None = None  # of the checkpoint that was restored
        self._notes: list[dict[str, Any]] = []
        self._done: dict[int, Done] = {}  # rounds that have begun since the oldest checkpoint that is kept
        self._checkpoints: deque[int] = deque(maxlen=parts.config.keep_checkpoints)

    def write(self, folder: Path) -> None:
        """Write the state into the folder of a checkpoint."""
        parts = self._parts
        streams = {name: state_of(rng) for name, rng in parts.rng.items() if name not in ASKING}
        found = {
            **self._asking(),
            "others": streams,
            "global": global_states(),
            "answers": parts.answers.state,
            "returns": parts.venv.returns_so_far,
            "shown": parts.shown is not None and parts.shown.begun,
            "fit": self.fit and {name: getattr(self.fit, name) for name in FIGURES},
        }
        (folder / REST).write_text(json.dumps(found))
        if len(self._checkpoints) == self._checkpoints.maxlen:
            self._done = {number: done for number, done in self._done.items() if number > self._checkpoints[0]}
        self._checkpoints.append(self.round)

    def restore(self, folder: Path, same: Sequence[Array]) -> None:
        """Restore the state from the folder of a checkpoint, and go on with the episodes that were running.

        Args:
            folder: The checkpoint's folder; nothing is restored from an earlier version's.
            same: Whether each running episode goes on, one array per recorder, bool, shape (n_envs,).
        """
        if not (folder / REST).exists():
            return
        found, parts = json.loads((folder / REST).read_text()), self._parts
        for name, state in found["others"].items():
            go_to(parts.rng[name], state)
        if found["fit"]:
            self.fit = RewardFit(**found["fit"])
        if not all(each.all() for each in same):
            print(
                f"{parts.config.env_id} doesn't replay: {sum(int((~each).sum()) for each in same)} running episodes "
                "depend on more than seed and actions, so that others begin, and the run isn't what it would have been",
                file=sys.stderr,
            )
        observations = parts.recorder.observations
        parts.venv.go_on(observations, same[0], found["returns"])
        parts.method.agent.go_on(folder, observations.copy(), same[0])
        if parts.shown and found["shown"]:
            parts.shown.go_on()
        parts.answers.fits = parts.method.version
        parts.answers.restore(fitted=found["answers"]["fitted"])
        self._done[self.round] = Done(found["answers"]["read"])
        self._saved = found
        go_to_global(found["global"])  # last, because replaying episodes may draw from them

    def begin_round(self, number: int) -> None:
        """Begin a round, or do it again with the answers that it had."""
        self.round = number
        self._parts.answers.begin_round(self._done.get(number))

    def end_asking(self, wanted: int) -> None:
        """Note that the round has asked everything, with the states of asking and answering.

        Args:
            wanted: Labels that the round wanted by then.
        """
        if self._parts.run:
            state = self._parts.answers.state
            self._done[self.round] = Done(state["began"], state["read"], wanted)
            self.note()

    def note(self, further: int = 0) -> None:
        """Write the states of asking and answering, if they changed.

        The note before is kept, too, because this one holds only once the queries are in the store.

        Args:
            further: Number of queries that are about to be posted.
        """
        if self._parts.run is None:
            return
        done = {self.round: Done(self._parts.answers.state["began"])} | self._done
        now = {**self._asking(further), "rounds": [[number, *astuple(done[number])] for number in sorted(done)]}
        if now in self._notes[-1:]:
            return
        self._notes = [*self._notes[-1:], now]
        place = self._parts.run / ASKED
        new = place.with_suffix(".new")
        new.write_text(json.dumps(self._notes))
        new.replace(place)

    def catch_up(self) -> None:
        """Restore asking and answering as of the last query in the store, after a checkpoint, if any, is restored.

        If no note is about that query, as in a run of an earlier version, further ones are drawn from a stream that is
        keyed by the number of queries (:func:`rlhf_gym.assembly.streams_from`).
        """
        self._notes, answers, rng = self._read_notes(), self._parts.answers, self._parts.rng
        states = [*self._notes[::-1], *([self._saved] if self._saved else [])]
        exact = [state for state in states if state["asked"] == answers.store.number_asked()]
        for state in (exact or states)[:1]:
            try:
                for name in ASKING if exact else ASKING[1:]:
                    go_to(rng[name], state["streams"][name])
                answers.teacher.restore_state(state["teacher"])
            except UNREADABLE as error:
                place = Path(str(self._parts.config.run_dir)) / ASKED
                raise BadInput(
                    f"{place} is damaged, or the teacher is another one ({error!r}); restore it from a copy, or remove "
                    "it: the run then goes on with queries drawn anew"
                ) from error
        if self._notes:
            self._done |= _rounds(self._notes[-1].get("rounds"))
        answers.hold_back(self._done.get(self.round))

    def _asking(self, further: int = 0) -> dict[str, Any]:
        answers = self._parts.answers
        streams = {name: state_of(self._parts.rng[name]) for name in ASKING}
        asked = answers.store.number_asked() + further
        return {"asked": asked, "streams": streams, "teacher": state_as_json(answers.teacher)}

    def _read_notes(self) -> list[dict[str, Any]]:
        """Read the notes that :meth:`note` wrote; empty if they are missing or damaged, as after a power cut."""
        try:
            found = json.loads((Path(str(self._parts.config.run_dir)) / ASKED).read_text())
            whole = isinstance(found, list) and all(type(note["asked"]) is int and "teacher" in note for note in found)
            return found if whole and all(set(ASKING) <= set(note["streams"]) for note in found) else []
        except (OSError, *UNREADABLE):
            return []


def _rounds(written: Any) -> dict[int, Done]:
    """Read the range of answers that each round had; empty if it is missing or malformed."""
    if not isinstance(written, list) or not all(isinstance(one, list) and len(one) == 4 for one in written):
        return {}
    if any(type(n) is not int or n < 0 for number, began, read, wanted in written for n in (number, began, wanted)):
        return {}
    if any(read is not None and (type(read) is not int or read < began) for _, began, read, _ in written):
        return {}
    return {number: Done(began, read, wanted) for number, began, read, wanted in written}
