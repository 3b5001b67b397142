"""What a teacher is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from rlhf_gym.preferences import Answer, Query


class Teacher(ABC):
    """Whoever answers queries; judged by `answer` alone."""

    name: str
    """Who this is, as the preference store writes it down."""

    @abstractmethod
    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """Say which segment of each query is better.

        Args:
            queries: N of them, none included.

        Returns:
            N answers, in the order of the queries.
        """
