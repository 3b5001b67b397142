"""A person's keys at a terminal: single keys where the terminal gives them, lines otherwise."""

from __future__ import annotations

import os
import re
import select
import time
from contextlib import suppress
from enum import Enum
from typing import Any, Protocol, TextIO

try:
    import termios
    import tty
except ImportError:  # Windows has lines only
    termios = None  # type: ignore[assignment]


class Key(Enum):
    """Replies that any query takes besides an answer of its kind."""

    SKIP = "skip"
    UNDO = "undo"
    REPLAY = "replay"
    QUIT = "quit"


COMMANDS = {
    **dict.fromkeys((" ", "s", "skip"), Key.SKIP),
    **dict.fromkeys(("\x7f", "\b", "u", "undo"), Key.UNDO),  # backspace is one or the other
    **dict.fromkeys(("r", "replay"), Key.REPLAY),
    **dict.fromkeys(("q", "\x04", "quit"), Key.QUIT),  # Ctrl-D
}
"""Commands by key, or by the word typed as a line."""
NEWLINE = "\n"
_ARROWS = {"D": "left arrow", "C": "right arrow", "B": "down arrow"}
# An escape sequence, whole or cut off at the end of the input so far, or any one character.
_ONE = re.compile(r"\x1b[\[O](?P<between>[0-9;]*)(?P<last>[A-Za-z~])|\x1b(?:[\[O][0-9;]*)?\Z|.", re.DOTALL)


class Keyboard(Protocol):
    """A source of keys, within a `with`, which restores the terminal afterwards."""

    def __enter__(self) -> Keyboard: ...

    def __exit__(self, *error: Any) -> None: ...

    def press(self, timeout: float | None) -> str | None:
        """Read the next key: a character in lower case, the name of an arrow, or a line with its newline.

        Return None if none comes within `timeout` seconds; a timeout of None waits for ever.
        """

    def wait(self, seconds: float) -> Key | None:
        """Sleep for `seconds`, or until the next command if keys can be read meanwhile; return the command."""

    def early(self) -> Key | None:
        """Discard keys typed before the query was seen; return UNDO or QUIT if one was among them."""


def keyboard(stdin: TextIO) -> Keyboard:
    """Open the keyboard: single keys if `stdin` is a terminal, lines otherwise."""
    return RawKeys(stdin.fileno()) if termios is not None and stdin.isatty() else LineKeys(stdin)


class RawKeys:
    """Single keys of a terminal, without echo; Ctrl-C interrupts, Ctrl-Z doesn't suspend.

    Args:
        descriptor: File descriptor of the terminal.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._typed, self._ended = descriptor, "", False

    def __enter__(self) -> RawKeys:
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor, termios.TCSANOW)
        mode = termios.tcgetattr(self._descriptor)
        mode[6][termios.VSUSP] = b"\0"  # suspending would show the shell in the middle of a picture
        termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)
        return self

    def __exit__(self, *error: Any) -> None:
        with suppress(termios.error):  # the terminal itself may be gone
            termios.tcflush(self._descriptor, termios.TCIFLUSH)  # what was typed here is not for the shell
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)

    def press(self, timeout: float | None) -> str | None:
        """See :class:`Keyboard`; the end of input is read as Ctrl-D."""
        return self._press(None if timeout is None else time.monotonic() + timeout)

    def _press(self, until: float | None) -> str | None:
        while True:
            if pressed := self._take():
                return pressed
            left = None if until is None else max(0.0, until - time.monotonic())
            # The rest of an escape sequence that is cut off comes at once or never.
            ready = select.select([self._descriptor], [], [], 0.05 if self._typed else left)[0]
            if ready:
                self._typed += self._read()
            elif self._typed:
                self._typed = ""
            elif left is not None:
                return None

    def wait(self, seconds: float) -> Key | None:
        """See :class:`Keyboard`."""
        until = time.monotonic() + seconds
        while (pressed := self._press(until)) is not None:
            if key := COMMANDS.get(pressed):
                return key
        return None

    def early(self) -> Key | None:
        """See :class:`Keyboard`."""
        while pressed := self.press(0):
            if (key := COMMANDS.get(pressed)) in (Key.UNDO, Key.QUIT):
                return key
        return None

    def _read(self) -> str:
        try:
            return os.read(self._descriptor, 1024).decode("latin-1") or "\x04"
        except OSError:  # Linux's way to say that the other end has hung up
            return "\x04"

    def _take(self) -> str | None:
        """Take the first key from what was typed, skipping sequences that are no arrow; None if there is none."""
        while self._typed:
            one = _ONE.match(self._typed)
            assert one is not None, "the pattern matches any character"  # noqa: S101
            if one["last"] is None and self._typed[0] == "\x1b" and one.end() == len(self._typed):
                return None  # cut off
            self._typed = self._typed[one.end() :]
            if pressed := _ARROWS.get(one["last"], "") if one["last"] else one[0].lower():
                return pressed
        return None


class LineKeys:
    """One key a line, such as "l" and Enter, or a word such as "left"; the end of input is a QUIT.

    Args:
        stdin: Where the lines come from.
    """

    def __init__(self, stdin: TextIO) -> None:
        self._stdin = stdin

    def __enter__(self) -> LineKeys:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def press(self, timeout: float | None) -> str | None:
        """Read the next line with its newline, however long that takes; return Ctrl-D at the end of input."""
        line = self._stdin.readline()
        return f"{line.rstrip(NEWLINE)}{NEWLINE}" if line else "\x04"

    def wait(self, seconds: float) -> Key | None:
        """Sleep; a line that comes meanwhile is read later."""
        time.sleep(seconds)
        return None

    def early(self) -> Key | None:
        """Discard nothing: lines are typed with care, or by a script."""
        return None
