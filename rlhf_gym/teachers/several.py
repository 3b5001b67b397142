"""The interface of a teacher who is several: what they say is kept under the name of who said it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from typing import NamedTuple

from rlhf_gym.preferences import Query, Said
from rlhf_gym.teachers.teacher import Teacher


class Open(NamedTuple):
    """A query that waits for answers."""

    query: Query
    wanted: int = 1
    """How many are missing, each from somebody else."""
    by: Collection[str] = ()
    """Names of those who have answered it."""


class Reply(NamedTuple):
    """An answer, and who gave it."""

    query: Query
    who: str
    answer: Said


class Several(Teacher):
    """Several teachers behind one name, each known to the store by their own.

    Attributes:
        each: How many of them answer each query; each answer is a label.
    """

    each: int = 1

    @abstractmethod
    def replies(self, waiting: Sequence[Open]) -> list[Reply]:
        """Answer queries, nobody the same one twice.

        Args:
            waiting: N of them, none included.

        Returns:
            For each as many replies as it wants, in the order of the queries; fewer where nobody is left to ask.
        """

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        """See :meth:`Teacher.answer`: each query is answered by one of them."""
        return [reply.answer for reply in self.replies([Open(query) for query in queries])]
