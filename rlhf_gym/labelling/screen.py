"""A terminal's alternate screen."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TextIO

BORROW, GIVE_BACK = "\x1b[?1049h\x1b[?25l", "\x1b[0m\x1b[?25h\x1b[?1049l"
LEAST_COLUMNS, LEAST_ROWS = 40, 14


def shows_pictures(stdin: TextIO, stdout: TextIO, environ: Mapping[str, str]) -> bool:
    """Test whether input and output are a terminal that can show moving pictures in half-block characters."""
    if not (stdin.isatty() and stdout.isatty()) or environ.get("TERM", "") in ("", "dumb", "unknown"):
        return False
    columns, rows = size(stdout)
    utf8 = (stdout.encoding or "").lower().replace("-", "") == "utf8"
    return utf8 and columns >= LEAST_COLUMNS and rows >= LEAST_ROWS


def shows_true_colour(environ: Mapping[str, str]) -> bool:
    """Test whether the terminal says that it paints 24-bit colours."""
    return environ.get("COLORTERM", "").lower() in ("truecolor", "24bit")


def size(stdout: TextIO) -> tuple[int, int]:
    """Get columns and rows, 80 and 24 where they are unknown."""
    try:
        columns, rows = os.get_terminal_size(stdout.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    return columns or 80, rows or 24  # a terminal whose size was never set reports 0


class Screen:
    """The terminal's alternate screen, without a cursor, within a `with`.

    Args:
        stdout: The terminal.
    """

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout
        self._shown: list[str] = []
        self._size = (0, 0)

    def __enter__(self) -> Screen:
        self._write(BORROW)
        return self

    def __exit__(self, *error: Any) -> None:
        with suppress(OSError, ValueError):  # the terminal itself may be gone
            self._write(GIVE_BACK)

    @property
    def size(self) -> tuple[int, int]:
        """Current columns that may be written to, one less than there are, and rows."""
        columns, rows = size(self._stdout)
        return columns - 1, rows  # clearing the rest of a full line clears its last character in some terminals

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines and nothing else; only changed lines are sent."""
        if self._size != self.size:
            self._size, self._shown = self.size, []
            self._write("\x1b[2J")
        lines = lines[: self._size[1]]
        before = self._shown + [""] * (len(lines) - len(self._shown))
        empty = [""] * (len(before) - len(lines))
        for row, (line, old) in enumerate(zip([*lines, *empty], before, strict=True), start=1):
            if line != old:
                self._stdout.write(f"\x1b[{row};1H{line}\x1b[0m\x1b[K")
        self._stdout.flush()
        self._shown = list(lines)

    def _write(self, text: str) -> None:
        self._stdout.write(text)
        self._stdout.flush()
