"""The interface of a teacher."""

from __future__ import annotations

import json
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.generators import go_to, state_of
from rlhf_gym.preferences import Query, Said


class Teacher(ABC):
    """Anything that answers queries."""

    name: str
    """Name under which the preference store keeps the answers."""
    kinds: Collection[str] | None = None
    """Kinds of feedback that it can give; None is all of them."""

    @abstractmethod
    def answer(self, queries: Sequence[Query]) -> Sequence[Said]:
        """Answer queries, each as its kind requires.

        Args:
            queries: N queries; N may be 0.

        Returns:
            N answers, in the order of the queries.
        """

    def save_state(self) -> dict[str, Any]:
        """Return the state that later answers depend on, as JSON values or NumPy's; a resumed run restores it.

        NumPy's numbers and arrays are restored as Python's numbers and lists.

        By default, these are the states of the generators among its attributes. A teacher with more state, such as the
        segments it has seen lately, overrides this.
        """
        return {name: state_of(rng) for name, rng in self._generators().items()}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state that a teacher with the same settings returned from :meth:`save_state`."""
        for name, rng in self._generators().items():
            go_to(rng, state[name])

    def _generators(self) -> dict[str, np.random.Generator]:
        return {name: value for name, value in vars(self).items() if isinstance(value, np.random.Generator)}


def state_as_json(teacher: Teacher) -> Any:
    """Return a teacher's state as it is read back from JSON.

    Raises:
        BadInput: If it can't be written as JSON, naming the teacher.
    """
    state = teacher.save_state()
    try:
        return json.loads(json.dumps(state, default=_plain))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(
            f"save_state of teacher {teacher.name} returned {reprlib.repr(state)}, which can't be written as JSON "
            f"({error}); return a dict of numbers, text, lists and dicts"
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"it holds a {type(value).__name__}")
