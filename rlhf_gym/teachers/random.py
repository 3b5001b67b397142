"""The random teacher: a control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Query, Said, Shown
from rlhf_gym.teachers.teacher import Teacher


@final
class RandomTeacher(Teacher):
    """Answer at random: LEFT or RIGHT, any order of more options, or any level, each with equal odds.

    Instead of a demonstration it gives one of the query's own segments at random.

    Args:
        seed: Seed of the draws.
    """

    name = "random"

    def __init__(self, *, seed: int | np.random.SeedSequence | np.random.Generator) -> None:
        self._rng = np.random.default_rng(seed)

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        """See :meth:`Teacher.answer`."""
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Said:
        kind = find_kind(query.kind)
        if not kind.made:
            return kind.said(self._worth(len(kind.weighed(query))))
        if len(query.options) == 1:
            raise BadInput(f"query {query.id!r} is a {query.kind}; the random teacher has nothing to show")
        return Shown(query.options[int(self._rng.integers(len(query.options)))])

    def _worth(self, options: int) -> list[float]:
        """Draw a value for each option; one draw decides between two."""
        if options == 2:
            return [1.0, 0.0] if self._rng.random() < 0.5 else [0.0, 1.0]
        return [float(worth) for worth in self._rng.random(options)]
