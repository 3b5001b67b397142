"""The interface of several teachers behind one name, whose answers are kept under their own names."""

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
    """Number of missing answers, each from a different teacher."""
    by: Collection[str] = ()
    """Names of those who have answered it."""


class Reply(NamedTuple):
    """An answer, and who gave it."""

    query: Query
    who: str
    answer: Said


class Several(Teacher):
    """Several teachers behind one name; the store keeps each one's answers under their own name.

    Attributes:
        each: Number of teachers who answer each query; each answer is a label.
    """

    each: int = 1

    @abstractmethod
    def replies(self, waiting: Sequence[Open]) -> list[Reply]:
        """Answer queries; no teacher answers the same one twice.

        Args:
            waiting: N queries; N may be 0.

        Returns:
            `wanted` replies to each query, in the order of the queries; fewer if no teacher is left to ask.
        """

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        """See :meth:`Teacher.answer`: each query is answered by one of them."""
        return [reply.answer for reply in self.replies([Open(query) for query in queries])]
