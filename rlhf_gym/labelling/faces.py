"""How a terminal shows a query and reads the answer: with moving pictures, or in plain characters."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TextIO

from rlhf_gym.errors import printable
from rlhf_gym.labelling.asking import Asking, ask
from rlhf_gym.labelling.characters import plot_states
from rlhf_gym.labelling.clips import Clip
from rlhf_gym.labelling.film import Film
from rlhf_gym.labelling.keys import Key, Keyboard
from rlhf_gym.labelling.screen import Screen, size
from rlhf_gym.preferences import Query, Said

Reply = Key | Said
"""An answer to a query, or a command."""
LOOPS = 10
"""How often a clip repeats by itself; then nothing more is sent, since the person may have gone away."""
LEAST_SECONDS_A_FRAME = 1 / 15
REST_SECONDS = 1.0
NOTHING = "nothing to answer right now; new queries appear by themselves (q quits, u takes back the last answer)"


@dataclass(frozen=True)
class Shown:
    """A query as a person sees it.

    Args:
        heading: Lines above it, such as the person's progress.
        query: What is asked.
        clip: Its clip; None if there is none.
        problem: Why there is no clip, in one line.
        levels: Names of a rating's levels, the worst first; empty for other kinds.
    """

    heading: Sequence[str]
    query: Query
    clip: Clip | None
    problem: str = ""
    levels: Sequence[str] = ()

    @property
    def above(self) -> list[str]:
        """The heading, then the paths of the clips, or why there are none."""
        return [*self.heading, *map(printable, self._files(self.clip) if self.clip else [self.problem])]

    def asking(self) -> Asking:
        """Make the prompt for the query."""
        return ask(self.query, self.levels)

    def _files(self, clip: Clip) -> list[str]:
        names = self.query.names
        if len(names) == 2:
            return [f"{name:<5} {clip.film(name)}" for name in names]
        if len(names) == 1:
            return [str(clip.film(names[0]))]
        return [f"{names[0]} to {names[-1]} {clip.film(names[0]).parent}"]


class Face(Protocol):
    """One way to show queries, within a `with`."""

    def __enter__(self) -> Face: ...

    def __exit__(self, *error: Any) -> None: ...

    def drawing(self, heading: Sequence[str]) -> None:
        """Show that the next query is being drawn."""

    def ask(self, shown: Shown, keys: Keyboard) -> tuple[Reply, float | None]:
        """Show a query until a reply other than REPLAY; return it, and when the query was first seen (Unix time)."""

    def rest(self, heading: Sequence[str], keys: Keyboard) -> Key | None:
        """Show that no query is open, for a moment or until a command, which is returned."""


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

    def ask(self, shown: Shown, keys: Keyboard) -> tuple[Reply, float | None]:
        """See :class:`Face`; the picture is refitted when the terminal's size changes."""
        n, seconds = (_ticks(shown.clip), shown.clip.milliseconds / 1000) if shown.clip else (1, 1.0)
        began, seen, fitted_to, asking = time.monotonic(), 0.0, ((0, 0), 0), shown.asking()
        while True:
            below = self._wrap(asking.below)
            if fitted_to != (self._screen.size, len(below)):
                fitted_to, lines = (self._screen.size, len(below)), self._fit(shown, asking.parts, len(below))
            passed = time.monotonic() - began
            tick = min(int(passed / seconds), LOOPS * n - 1)
            self._screen.draw([*lines(tick % n), *below])
            seen = seen or time.monotonic()
            to_next = (tick + 1) * seconds - passed
            wait = REST_SECONDS if to_next <= 0 else max(to_next, LEAST_SECONDS_A_FRAME)
            said = asking.hear(keys, wait)
            if said is Key.REPLAY:
                began = time.monotonic()
            elif said:
                return said, _unix_time(seen)

    def rest(self, heading: Sequence[str], keys: Keyboard) -> Key | None:
        """See :class:`Face`."""
        self._screen.draw(self._wrap([*heading, NOTHING]))
        return keys.wait(REST_SECONDS)

    def _fit(self, shown: Shown, parts: int, below: int) -> Callable[[int], list[str]]:
        """Make a function from a tick to all lines but those below, for the terminal's current size."""
        columns, rows = self._screen.size
        above = self._wrap(shown.above)
        if shown.clip is None:
            plot = plot_states(shown.query, columns=columns, parts=parts)
            return lambda tick: [*above, *plot][: max(0, rows - below)]
        room = rows - len(above) - below
        colours = self._true_colour
        film = Film(shown.query, shown.clip, columns=columns, rows=room, true_colour=colours, parts=parts)
        return lambda tick: [*above, *film.lines(tick)]

    def _wrap(self, lines: Sequence[str]) -> list[str]:
        """Break lines at the screen's width, long paths as well."""
        columns = max(1, self._screen.size[0])
        return [part for line in lines for part in textwrap.wrap(line, columns, break_on_hyphens=False)]


class Characters:
    """Plots in plain characters, one query below the other, for terminals and pipes that can do no more.

    Args:
        stdout: Where to write; characters that its encoding lacks become question marks.
    """

    def __init__(self, stdout: TextIO) -> None:
        self._stdout, self._resting = stdout, False

    def __enter__(self) -> Characters:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def drawing(self, heading: Sequence[str]) -> None:
        """See :class:`Face`; nothing is written, because it couldn't be removed again."""

    def ask(self, shown: Shown, keys: Keyboard) -> tuple[Reply, float | None]:
        """See :class:`Face`; to replay is to plot again."""
        self._resting, seen, asking = False, time.monotonic(), shown.asking()
        said: Reply | None = Key.REPLAY
        while said is None or said is Key.REPLAY:
            if said:
                columns = size(self._stdout)[0] - 1
                plot = plot_states(shown.query, columns=columns, parts=asking.parts)
                self._write("\n".join([*shown.above, *plot, ""]))
            self._write(asking.prompt)
            said = self._hear(asking, keys)
            self._write(f"{said.value}\n" if isinstance(said, Enum) else "\n")
        return said, _unix_time(seen)

    def _hear(self, asking: Asking, keys: Keyboard) -> Reply | None:
        """Read a reply and echo it while it is typed; None if it was wrong."""
        while True:
            before = asking.typed
            said = asking.hear(keys, None)
            self._write(asking.typed[len(before) :] if len(asking.typed) >= len(before) else "\b \b")
            if said or asking.problem:
                return said

    def rest(self, heading: Sequence[str], keys: Keyboard) -> Key | None:
        """See :class:`Face`; the message is written once until the next query."""
        if not self._resting:
            self._write("\n".join([*heading, NOTHING, ""]))
        self._resting = True
        return keys.wait(REST_SECONDS)

    def _write(self, text: str) -> None:
        encoding = self._stdout.encoding or "utf-8"
        self._stdout.write(text.encode(encoding, "replace").decode(encoding))
        self._stdout.flush()


def _unix_time(moment: float) -> float:
    """Convert a moment of the monotonic clock by the present clock, which may have been set since then."""
    return time.time() - (time.monotonic() - moment)


def _ticks(clip: Clip) -> int:
    return len(next(iter(clip.order.values())))
