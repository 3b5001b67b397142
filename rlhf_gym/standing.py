"""The current answers and their totals, updated as answers are read, so that no round counts them all again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import final

from rlhf_gym.kinds import Told, seconds
from rlhf_gym.preferences import HELDOUT, Answer, Choice, Preference, Said

Key = tuple[str, str]
"""Key of an answer: the query's id, and the name of who gave it."""


@final
class Standing:
    """The last answer of each teacher to each query, in order of answering.

    Attributes:
        labels: Number of answers; a skip is no label.
        seconds: Seconds of a person's time that they cost.
    """

    def __init__(self) -> None:
        self.labels, self.seconds = 0, 0.0
        self._given: dict[Key, Preference] = {}
        self._heldout: dict[Key, Preference] = {}
        self._choices: dict[Key, list[Choice]] = {}
        self._told = Told()

    def __len__(self) -> int:
        return len(self._given)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._given)

    @property
    def preferences(self) -> list[Preference]:
        """All current answers, SKIP included."""
        return list(self._given.values())

    @property
    def heldout(self) -> list[Preference]:
        """Current answers to held-out queries, SKIP included."""
        return list(self._heldout.values())

    @property
    def choices(self) -> list[Choice]:
        """The choices that each answer implies by itself.

        Objects stay the same until an answer is taken back on which others' choices may depend.
        """
        return list(chain.from_iterable(self._choices.values()))

    def get(self, key: Key) -> Preference | None:
        """Look up an answer; None if there is none."""
        return self._given.get(key)

    def said(self, key: Key) -> Said | None:
        """Look up an answer to fit to; None for no answer, a skip, or a held-out query's."""
        preference = self._given.get(key)
        if preference is None or preference.answer is Answer.SKIP or preference.query.why == HELDOUT:
            return None
        return preference.answer

    def replace(self, key: Key, preference: Preference | None) -> None:
        """Set the answer of a key, in place of the one before, if any; None takes that back."""
        self._take_back(key)
        if preference is not None:
            self._given[key], self._choices[key] = preference, self._told.add(preference)
            if preference.query.why == HELDOUT:
                self._heldout[key] = preference
            self._count(preference, 1)

    def _take_back(self, key: Key) -> None:
        """Forget an answer, if there is one, and recompute all choices if others may depend on it."""
        gone = self._given.pop(key, None)
        if gone is None:
            return
        self._heldout.pop(key, None)
        del self._choices[key]
        self._count(gone, -1)
        if self._told.hangs_on(gone):
            self._told = Told()
            self._choices = {key: self._told.add(preference) for key, preference in self._given.items()}

    def _count(self, preference: Preference, times: int) -> None:
        self.labels += times * (preference.answer is not Answer.SKIP)
        self.seconds += times * seconds(preference)


@final
class Changes:
    """The answers changed since some moment, with what they were then, the latest change last."""

    def __init__(self) -> None:
        self._before: dict[Key, tuple[bool, Said | None]] = {}

    def note(self, key: Key, standing: Standing) -> None:
        """Keep the answer of a key before it changes."""
        before = self._before.pop(key, None) or (standing.get(key) is not None, standing.said(key))
        self._before[key] = before

    def new(self, standing: Standing) -> list[Preference]:
        """List the answers of keys that had none then."""
        now = (standing.get(key) for key, (there, _) in self._before.items() if not there)
        return [preference for preference in now if preference is not None]

    def fitted_to(self, standing: Standing) -> int:
        """Count the answers to fit to that are new, changed or taken back since then."""
        return sum(standing.said(key) != said for key, (_, said) in self._before.items())
