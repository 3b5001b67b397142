"""What was asked of a teacher, and what came back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import final

from rlhf_gym.preferences import Answer, Preference, Query, Said
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import People, Teacher


@final
class Asking:
    """The queries of a run on their way to the teacher and back, all of them through the store.

    Args:
        store: Where queries are posted and answers kept.
        teacher: Who answers.
        ask: Chooses so many queries and posts them for so many people each.
        labels: The budget: labels there will ever be.
        people_per_query: How many people are to answer each query; each answer is a label.

    Attributes:
        preferences: Every answer that stands, SKIP included.
        open: Queries that are posted and wait for an answer.
    """

    def __init__(
        self,
        store: PreferenceStore,
        teacher: Teacher,
        *,
        ask: Callable[[int, int], list[Query]],
        labels: int,
        people_per_query: int = 1,
    ) -> None:
        self.teacher, self._store, self._ask, self._budget = teacher, store, ask, labels
        self.people = teacher if isinstance(teacher, People) else None
        self._each = people_per_query if self.people else 1
        self.preferences: list[Preference] = []
        self.open: list[Query] = []
        self._fitted_to: set[tuple[str, str, Said]] = set()

    @property
    def labels(self) -> int:
        """Answers that stand; a skip is no label."""
        return sum(preference.answer is not Answer.SKIP for preference in self.preferences)

    def take_up(self) -> None:
        """Go on with what the store holds."""
        self.open = self._store.pending()  # first: what is answered between the two counts as both, not as neither
        self.preferences = self._store.preferences()

    def tell(
        self, queries: Sequence[Query], answers: Sequence[Said], *, who: str, shown_at: float | None = None
    ) -> None:
        """Keep answers that were given here and now."""
        if len(queries) != len(answers):
            raise ValueError(f"{len(answers)} answers came to {len(queries)} queries; give one answer a query")
        now = time.time()
        self._store.record_all(
            [q.id for q in queries], list(map(Answer, answers)), teacher=who, shown_at=shown_at, answered_at=now
        )
        told = {(q.id, who): Preference(q, a, who, shown_at, now) for q, a in zip(queries, answers, strict=True)}
        # A person's second answer takes the place of their first, in the store as here.
        self.preferences = list(({(p.query.id, p.teacher): p for p in self.preferences} | told).values())

    def until(self, wanted: int) -> None:
        """Ask until so many labels are there in all, or a few more where several people answer each query.

        A skipped query is asked for again: people as often as it takes, any other teacher ten times.

        Raises:
            ValueError: If nothing but skips ever came.
        """
        for _ in count() if self.people else range(10):
            if self.people:
                self.take_up()  # what was taken back since is open again
            self._ask_what_misses(wanted)
            if not self.open:
                break
            self._have_answered()
        if wanted and not self.labels:
            raise ValueError(
                f"teacher {self.teacher.name} skipped all {len(self.preferences)} queries; expected an answer"
            )

    def meanwhile(self, wanted: int, *, oldest_step: float, outstanding: int | None, first: int) -> None:
        """Ask, and wait only while too many queries are open.

        Args:
            wanted: Labels there shall be in all, in the end.
            oldest_step: Open queries are withdrawn if the policy they show was trained for fewer steps, unless somebody
                looks at them.
            outstanding: How many may be open; None is all but the `first` ones.
            first: How many answers to wait for before there is a reward to go on with.
        """
        assert self.people
        self.take_up()
        if stale := [q.id for q in self.open if q.policy_step < oldest_step and q.repeats is None]:
            self._store.drop(stale)
        self._ask_what_misses(wanted)
        if outstanding is None:
            self.people.wait_for(first)
        else:
            self.people.wait(open_at_most=outstanding)
        self.take_up()

    def unfitted(self) -> int:
        """How many answers are new, or taken back, since the last :meth:`fitted`."""
        return len(self._said() ^ self._fitted_to)

    def fitted(self) -> None:
        """A reward model was fitted to what is there."""
        self._fitted_to = self._said()

    def _ask_what_misses(self, wanted: int) -> None:
        """Queries of which each wants as many people as it should, save a last one where so many labels aren't left."""
        whole = min(self._budget, -(-wanted // self._each) * self._each)
        missing = max(0, whole - self._given_or_awaited())
        for n, people in ((missing // self._each, self._each), (1, missing % self._each)):
            if n and people:
                self.open += self._ask(n, people)

    def _given_or_awaited(self) -> int:
        if not self.people:
            return self.labels + len(self.open)
        counts = self._store.counts()  # of one moment, while people answer and undo
        return counts.labels + counts.awaited

    def _have_answered(self) -> None:
        if self.people:
            self.people.wait()  # the next turn takes up what they said
        else:
            self.tell(self.open, self.teacher.answer(self.open), who=self.teacher.name)
            self.open = []

    def _said(self) -> set[tuple[str, str, Said]]:
        return {(p.query.id, p.teacher, p.answer) for p in self.preferences if p.answer is not Answer.SKIP}
