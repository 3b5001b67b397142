"""The random teacher: a control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np

from rlhf_gym.preferences import Answer, Query
from rlhf_gym.teachers.teacher import Teacher


@final
class RandomTeacher(Teacher):
    """Answers LEFT or RIGHT by the toss of a coin, whatever was asked: a control.

    Args:
        seed: Of the coin.
    """

    name = "random"

    def __init__(self, *, seed: int | np.random.SeedSequence | np.random.Generator) -> None:
        self._rng = np.random.default_rng(seed)

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """See :meth:`Teacher.answer`."""
        return [Answer.LEFT if toss < 0.5 else Answer.RIGHT for toss in self._rng.random(len(queries))]
