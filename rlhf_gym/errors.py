"""The error of unusable input, and how errors are printed."""

from __future__ import annotations

import traceback

MOST = 1500
"""Most characters of a message."""
UNREADABLE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(RecursionError, SyntaxError, AssertionError),
)
"""Errors that code, ours and others', raises on malformed content: a number may be too large for a float, and NumPy
parses some names of a dtype as Python."""


class BadInput(ValueError):
    """A user's mistake, described in one line: the argument, its value, what was expected, and what to do.

    Any other error is a bug in this package, or in code that it calls, and is shown with its traceback. A message may
    quote a file's content, so the middle of a long one is left out, and unprintable characters, such as a terminal's
    escape sequences, are escaped.
    """

    def __str__(self) -> str:
        """Return the message, shortened and with unprintable characters escaped."""
        text = printable(" ".join(super().__str__().split()))
        return text if len(text) <= MOST else f"{text[: MOST // 2]} ... {text[-MOST // 2 :]}"


def printable(text: str) -> str:
    """Escape unprintable characters: lone surrogates, and those that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def reason_of(error: BaseException) -> str:
    """Describe in one line an error raised by other people's code."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def place_of(error: BaseException, *, but: str = "") -> str:
    """Return the file and line of an exception's innermost frame outside the file `but`."""
    frame = [each for each in traceback.extract_tb(error.__traceback__) if each.filename != but][-1]
    return f"{frame.filename}:{frame.lineno}"
