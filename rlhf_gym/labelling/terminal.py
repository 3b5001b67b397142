"""The terminal prompt, at which a person answers queries, over ssh too."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

from rlhf_gym.errors import printable
from rlhf_gym.labelling.clips import ClipError
from rlhf_gym.labelling.desk import Desk, Taken
from rlhf_gym.labelling.faces import Characters, Face, Pictures, Reply, Shown
from rlhf_gym.labelling.keys import Key, Keyboard, keyboard
from rlhf_gym.labelling.screen import shows_pictures, shows_true_colour
from rlhf_gym.preferences import Answer, Query


def prompt(
    desk: Desk,
    *,
    who: str,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    wait: bool = False,
    on_quit: Callable[[], None] | None = None,
    page: str = "rlhf-gym label --web",
) -> int:
    """Put queries to a person until there are none, or they quit.

    Every answer is in the store before the next query is shown, so the prompt may be interrupted at any moment and
    continued later. The terminal is restored.

    Args:
        desk: Gives the queries and takes the answers.
        who: The person's name.
        stdin: Source of keys, single ones of a terminal, lines otherwise; None is this process's standard input.
        stdout: Where queries are shown, as moving pictures if the terminal can, else as plots; None is standard output.
        wait: Whether to wait for new queries when there are none.
        on_quit: Called last if they quit.
        page: The command that serves a page, named where only a page can show the queries that wait.

    Returns:
        Number of answers given, less those taken back.
    """
    stdin, stdout = stdin or sys.stdin, stdout or sys.stdout
    face: Face = Characters(stdout)
    if shows_pictures(stdin, stdout, os.environ):
        face = Pictures(stdout, true_colour=shows_true_colour(os.environ))
    with _ended_in_order(), keyboard(stdin) as keys, face:
        sitting = _Sitting(desk, who, face, keys, page)
        given = sitting.answer_all(wait=wait)
    if sitting.quit and on_quit:
        on_quit()
    return given


class _Sitting:
    """One person's time at the prompt, from the first query to the last."""

    def __init__(self, desk: Desk, who: str, face: Face, keys: Keyboard, page: str) -> None:
        self._desk, self._who, self._face, self._keys, self._page = desk, who, face, keys, page
        self._given, self._note, self.quit = 0, "", False
        self._answered = desk.answered(who)
        self._here: set[str] = set()

    def answer_all(self, *, wait: bool) -> int:
        """See :func:`prompt`."""
        try:
            query = self._desk.next(self._who)
            while query or wait:
                said, shown_at = self._ask(query) if query else (self._face.rest(self._heading(), self._keys), None)
                if said is Key.QUIT:
                    self.quit = True
                    break
                query = self._do(said, query, shown_at)
        finally:
            self._desk.release(self._who)  # for others
        return self._given

    def _ask(self, query: Query) -> tuple[Reply, float | None]:
        heading = self._heading(query)
        self._face.drawing(heading)
        try:
            clip, problem = self._desk.clip(query.id), ""
        except ClipError as error:
            clip, problem = None, str(error)
        if early := self._keys.early():
            return early, None
        shown = Shown(heading, query, clip, problem, [printable(level) for level in self._desk.levels_of(query)])
        return self._face.ask(shown, self._keys)

    def _do(self, said: Reply | None, query: Query | None, shown_at: float | None) -> Query | None:
        """Carry out an answer or a command; return the query that comes next."""
        self._note = ""
        if said is Key.UNDO:
            return self._undo() or query
        answer = Answer.SKIP if said is Key.SKIP else said
        if query and answer is not None and not isinstance(answer, Key):
            try:
                self._desk.answer(self._who, query.id, answer, shown_at)
                self._given += 1
                self._answered.append(query.id)
                self._here.add(query.id)
            except Taken as error:
                self._note = str(error)
        return self._desk.next(self._who)

    def _undo(self) -> Query | None:
        undone = self._desk.undo(self._who, self._answered)
        self._note = "taken back; what now?" if undone else "there is no answer of yours to take back"
        if undone and undone.id in self._here:
            self._here.remove(undone.id)
            self._given -= 1
        return undone

    def _heading(self, query: Query | None = None) -> list[str]:
        done = self._desk.progress(self._who)
        of = "" if done.labels is None else f" of {done.labels}"
        seconds = "" if done.median_seconds is None else f", {done.median_seconds:.1f} s each (median)"
        line = f"{done.answered}{of} answered, {done.by_you} by {self._who}{seconds}; {done.waiting} waiting"
        elsewhere = "" if query else self._elsewhere()
        parts = (*self._desk.instructions_for(query).splitlines(), line, elsewhere, self._note)
        return [printable(" ".join(part.split())) for part in parts if part]

    def _elsewhere(self) -> str:
        """Say how many queries a page alone can show, and how to serve one."""
        waiting = self._desk.waiting_elsewhere()
        return f"{waiting} more to answer on a page: {self._page}" if waiting else ""


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Turn SIGTERM into a SystemExit, so that the terminal is restored."""

    def end(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # only it may set signal handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
