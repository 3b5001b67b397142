"""A list of choices that is passed again and again, and mostly grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from rlhf_gym.preferences import Choice


@final
class Growing:
    """The choices of the last call; results for them stay valid if the next choices begin with them."""

    def __init__(self) -> None:
        self._last: list[Choice] = []

    def kept(self, choices: Sequence[Choice]) -> int:
        """Return the number of the last call's choices if these begin with them, as the same objects; otherwise 0."""
        n = len(self._last)
        return n if list(choices[:n]) == self._last else 0

    def keep(self, choices: Sequence[Choice]) -> None:
        """Remember these choices as those of the last call."""
        self._last = list(choices)
