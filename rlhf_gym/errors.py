"""The error of unusable input from outside."""

from __future__ import annotations

import traceback

MOST = 1500
"""Characters of a message."""
UNREADABLE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError),
    *(RecursionError, SyntaxError, AssertionError),
)
"""What code raises, ours and others', that is given content which isn't what it should be: a number may be too large
for a float, and NumPy reads some names of a dtype as Python."""


class BadInput(ValueError):
    """A mistake of the user's, told in one line: which argument, what came, what was expected, what to do.

    Any other error is a mistake of ours, or of code that we call, and is shown with its traceback. What came may be a
    file's content: of a long message, the middle is left out, and what no screen shows, such as a terminal's escape
    sequences, is escaped.
    """

    def __str__(self) -> str:
        """The message, as any screen shows it."""
        text = printable(" ".join(super().__str__().split()))
        return text if len(text) <= MOST else f"{text[: MOST // 2]} ... {text[-MOST // 2 :]}"


def printable(text: str) -> str:
    """Escape what no screen shows: half characters, and those that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def reason_of(error: BaseException) -> str:
    """Tell in one line what code of somebody else's raised."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def place_of(error: BaseException, *, but: str = "") -> str:
    """Name the file and line that an exception comes from; of those outside the file `but`, the innermost."""
    frame = [each for each in traceback.extract_tb(error.__traceback__) if each.filename != but][-1]
    return f"{frame.filename}:{frame.lineno}"
