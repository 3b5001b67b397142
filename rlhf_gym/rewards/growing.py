"""A list that is handed over again and again, and mostly grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from rlhf_gym.preferences import Choice


@final
class Growing:
    """The choices of the last time: where the next ones only go on from them, what was made of these still holds."""

    def __init__(self) -> None:
        self._last: list[Choice] = []

    def kept(self, choices: Sequence[Choice]) -> int:
        """Count the first choices that are the last time's, the very same objects: all of those, or 0."""
        n = len(self._last)
        return n if list(choices[:n]) == self._last else 0

    def keep(self, choices: Sequence[Choice]) -> None:
        """Note that something was made of all of these."""
        self._last = list(choices)
