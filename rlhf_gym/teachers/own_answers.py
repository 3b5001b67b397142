"""The learned reward's own answers, which the store keeps beside the labels."""

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
        """Own answers in the order in which they were given."""
        return list(self._given.values())

    @property
    def choices(self) -> list[Choice]:
        """Choices that the answers imply, in the same order; an answer that doesn't change keeps its objects."""
        return [choice for implied in self._choices.values() for choice in implied]

    def read(self, query: Query, given: AnswerSince) -> None:
        """Update the own answer to a query from the store."""
        self._given.pop(query.id, None)
        self._choices.pop(query.id, None)
        if given.answer is not None:
            answer = Preference(query, given.answer, given.person, given.shown_at, given.answered_at)
            self._given[query.id], self._choices[query.id] = answer, choices([answer])

    def renew(self, teacher: SelfRewardingTeacher, true: Sequence[Preference], *, fitted: bool) -> list[Query]:
        """Let the reward judge its answers again and add more, before it is fitted to new true answers.

        Args:
            teacher: The teacher with the reward.
            true: Every true answer in force.
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
