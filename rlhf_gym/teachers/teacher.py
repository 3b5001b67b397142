"""The interface of a teacher."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from rlhf_gym.preferences import Query, Said


class Teacher(ABC):
    """Anything that answers queries."""

    name: str
    """Under which answers are kept in the preference store."""
    kinds: Collection[str] | None = None
    """Kinds of feedback that it can give; None is all of them."""

    @abstractmethod
    def answer(self, queries: Sequence[Query]) -> Sequence[Said]:
        """Answer queries, each by its kind.

        Args:
            queries: N of them, none included.

        Returns:
            N answers, in the order of the queries.
        """
