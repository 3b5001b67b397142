"""What the learned reward answers itself, as the store keeps it beside the labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from rlhf_gym.kinds import choices
from rlhf_gym.preferences import OWN, Choice, Preference, Query
from rlhf_gym.store import PreferenceStore
from rlhf_gym.store.answers import AnswerSince
from rlhf_gym.teachers.self_rewarding import SelfRewardingTeacher


@final
class OwnAnswers:
    """The answers of a :class:`SelfRewardingTeacher`'s reward, SKIP included; none of them is a label.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: PreferenceStore) -> None:
        self._store = store
        self._given: dict[str, Preference] = {}  # by query
        self._choices: dict[str, list[Choice]] = {}

    @property
    def preferences(self) -> list[Preference]:
        """In order of answering."""
        return list(self._given.values())

    @property
    def choices(self) -> list[Choice]:
        """What they imply, in the same order; an answer that stays keeps its objects."""
        return [choice for implied in self._choices.values() for choice in implied]

    def read(self, query: Query, given: AnswerSince) -> None:
        """Take in what the store holds of one of them."""
        self._given.pop(query.id, None)
        self._choices.pop(query.id, None)
        if given.answer is not None:
            answer = Preference(query, given.answer, given.person, given.shown_at, given.answered_at)
            self._given[query.id], self._choices[query.id] = answer, choices([answer])

    def renew(self, teacher: SelfRewardingTeacher, true: Sequence[Preference], *, fitted: bool) -> list[Query]:
        """Have the reward judge anew what it is sure of, before it is fitted to new true answers.

        Args:
            teacher: Whose reward it is.
            true: Every true answer that stands.
            fitted: Whether the reward has been fitted.

        Returns:
            Queries that it answered for the first time.
        """
        changed = teacher.renew(true, self.preferences, fitted=fitted)
        new = [Preference(query, answer, OWN) for query, answer in changed if query.id not in self._given]
        self._store.add(new)
        again = [(query.id, answer) for query, answer in changed if query.id in self._given]
        self._store.record_all([id_ for id_, _ in again], [answer for _, answer in again], teacher=OWN)
        return [preference.query for preference in new]
