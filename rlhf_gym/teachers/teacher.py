"""The interface of a teacher."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from rlhf_gym.generators import go_to, state_of
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

    def save_state(self) -> dict[str, Any]:
        """Say what its further answers hang on besides the queries, as JSON values; a resumed run hands it back.

        By itself, that is where the generators are that it has as attributes. A teacher with more, such as what it has
        seen lately, says so here.
        """
        return {name: state_of(rng) for name, rng in self._generators().items()}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what another one of the same settings said in :meth:`save_state`."""
        for name, rng in self._generators().items():
            go_to(rng, state[name])

    def _generators(self) -> dict[str, np.random.Generator]:
        return {name: value for name, value in vars(self).items() if isinstance(value, np.random.Generator)}
