"""The error of unusable input from outside."""

from __future__ import annotations


class BadInput(ValueError):
    """A mistake of the user's, told in one line: which argument, what came, what was expected, what to do.

    Any other error is a mistake of ours, or of code that we call, and is shown with its traceback.
    """
