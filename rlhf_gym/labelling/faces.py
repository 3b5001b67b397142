"""How a terminal shows a query and hears what is said: with moving pictures, or in plain characters."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

from rlhf_gym.labelling.characters import plot_states
from rlhf_gym.labelling.clips import SIDES, Clip
from rlhf_gym.labelling.film import Film
from rlhf_gym.labelling.keys import Key, Keyboard
from rlhf_gym.labelling.screen import Screen, size
from rlhf_gym.preferences import Query

LOOPS = 10
"""How often a clip runs by itself: to whoever has gone away nothing more is sent."""
LEAST_SECONDS_A_FRAME = 1 / 15
REST_SECONDS = 1.0
NOTHING = "nothing to answer right now; new queries appear by themselves (q quits, u takes back the last answer)"
ARROWS = "← left  → right  ↓ tie  space skip  backspace undo  r replay  q quit"
LETTERS = "1 left, 2 right, t tie, s skip, u undo, r replay, q quit? "


@dataclass(frozen=True)
class Shown:
    """What is put to somebody.

    Args:
        heading: Lines above it, such as how far they are.
        query: What is asked.
        clip: Its clip; None if there is none.
        problem: Why there is none, in one line.
    """

    heading: Sequence[str]
    query: Query
    clip: Clip | None
    problem: str = ""

    @property
    def above(self) -> list[str]:
        """The heading, and where the clips are."""
        files = [f"{side:<5} {self.clip.film(side)}" for side in SIDES] if self.clip else [self.problem]
        return [*self.heading, *files]


class Face(Protocol):
    """One way to show queries, within a `with`."""

    def __enter__(self) -> Face: ...

    def __exit__(self, *error: Any) -> None: ...

    def drawing(self, heading: Sequence[str]) -> None:
        """Say that the next query is being drawn."""

    def ask(self, shown: Shown, keys: Keyboard) -> tuple[Key, float | None]:
        """Show a query until a key is pressed other than REPLAY; the key, and when the query was first seen."""

    def rest(self, heading: Sequence[str], keys: Keyboard) -> Key | None:
        """Say that there is nothing to ask, for a moment or up to a key."""


class Pictures:
    """Clips that move, on the terminal's other screen.

    Args:
        stdout: A terminal that can do it.
        true_colour: Whether it paints 24-bit colours.
    """

    def __init__(self, stdout: TextIO, *, true_colour: bool) -> None:
        self._screen, self._true_colour = Screen(stdout), true_colour

    def __enter__(self) -> Pictures:
        self._screen.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._screen.__exit__(*error)

    def drawing(self, heading: Sequence[str]) -> None:
        """See :class:`Face`."""
        self._screen.draw(self._wrap([*heading, "drawing ..."]))

    def ask(self, shown: Shown, keys: Keyboard) -> tuple[Key, float | None]:
        """See :class:`Face`; the picture is fitted anew when the terminal's size changes."""
        n, seconds = (len(shown.clip.order["left"]), shown.clip.milliseconds / 1000) if shown.clip else (1, 1.0)
        began, shown_at, fitted_to = time.monotonic(), 0.0, (0, 0)
        while True:
            if fitted_to != self._screen.size:
                fitted_to, lines = self._screen.size, self._fit(shown)
            passed = time.monotonic() - began
            tick = min(int(passed / seconds), LOOPS * n - 1)
            self._screen.draw(lines(tick % n))
            shown_at = shown_at or time.time()
            to_next = (tick + 1) * seconds - passed
            key = keys.read(REST_SECONDS if to_next <= 0 else max(to_next, LEAST_SECONDS_A_FRAME))
            if key is Key.REPLAY:
                began = time.monotonic()
            elif key:
                return key, shown_at

    def rest(self, heading: Sequence[str], keys: Keyboard) -> Key | None:
        """See :class:`Face`."""
        self._screen.draw(self._wrap([*heading, NOTHING]))
        return keys.wait(REST_SECONDS)

    def _fit(self, shown: Shown) -> Callable[[int], list[str]]:
        """From a tick to all lines, for the terminal's size as it is now."""
        columns, rows = self._screen.size
        above, below = self._wrap(shown.above), self._wrap([ARROWS])
        if shown.clip is None:
            plot = plot_states(shown.query, columns=columns)
            return lambda tick: [*above, *plot, *below]
        room = rows - len(above) - len(below)
        film = Film(shown.query, shown.clip, columns=columns, rows=room, true_colour=self._true_colour)
        return lambda tick: [*above, *film.lines(tick), *below]

    def _wrap(self, lines: Sequence[str]) -> list[str]:
        """Lines broken to the screen's width, long paths as well."""
        columns = max(1, self._screen.size[0])
        return [part for line in lines for part in textwrap.wrap(line, columns, break_on_hyphens=False)]


class Characters:
    """Plots in plain characters, one query below the other, for terminals and pipes that can do no more.

    Args:
        stdout: Where to write; what its encoding lacks becomes a question mark.
    """

    def __init__(self, stdout: TextIO) -> None:
        self._stdout, self._resting = stdout, False

    def __enter__(self) -> Characters:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def drawing(self, heading: Sequence[str]) -> None:
        """See :class:`Face`; nothing is said, or it would stand there for ever."""

    def ask(self, shown: Shown, keys: Keyboard) -> tuple[Key, float | None]:
        """See :class:`Face`; to replay is to plot again."""
        self._resting, shown_at = False, time.time()
        key: Key | None = Key.REPLAY
        while key in (None, Key.REPLAY):
            if key:
                self._write("\n".join([*shown.above, *plot_states(shown.query, columns=size(self._stdout)[0] - 1), ""]))
            self._write(LETTERS)
            key = keys.read(None)
            self._write(f"{key.value}\n" if key else "\n")
        assert key is not None  # noqa: S101
        return key, shown_at

    def rest(self, heading: Sequence[str], keys: Keyboard) -> Key | None:
        """See :class:`Face`; it is said once."""
        if not self._resting:
            self._write("\n".join([*heading, NOTHING, ""]))
        self._resting = True
        return keys.wait(REST_SECONDS)

    def _write(self, text: str) -> None:
        encoding = self._stdout.encoding or "utf-8"
        self._stdout.write(text.encode(encoding, "replace").decode(encoding))
        self._stdout.flush()
