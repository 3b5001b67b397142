"""A run's queries and answers: the preference store, read as it grows."""

from __future__ import annotations

import reprlib
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import final

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import OWN, Answer, Choice, Preference, Query, Said
from rlhf_gym.standing import Changes, Standing
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import OwnAnswers, People, SelfRewardingTeacher, Teacher

Together = Callable[[Sequence[Preference], Sequence[Choice]], list[Choice]]
"""(Every answer, the choices that each implies by itself) -> the choices that they imply together."""


@dataclass(frozen=True)
class Done:
    """The range of answers known to a round that is now done again.

    Args:
        began: Number of the last answer when the round began.
        read: Number of the last answer when it had asked everything; None if the run was interrupted before.
        wanted: Labels that the round wanted by then.
    """

    began: int
    read: int | None = None
    wanted: int = 0


@final
class Answers:
    """The queries of a run and their answers, always read from the store.

    Args:
        store: Store of the queries and answers.
        teacher: The teacher, a program or people.
        before: Labels that the run began with.
        together: Computes the choices that answers imply together; None takes those that each implies by itself.

    Attributes:
        fits: Number of fits of a reward model to the answers.
    """

    def __init__(
        self,
        store: PreferenceStore,
        teacher: Teacher,
        *,
        before: int = 0,
        together: Together | None = None,
    ) -> None:
        self.store, self.teacher, self.before, self._together = store, teacher, before, together
        self.people = teacher if isinstance(teacher, People) else None
        self._queries: dict[str, Query] = {}
        self._asked: list[Query] = []
        self._standing = Standing()
        self._own = OwnAnswers(store)  # the learned reward's own answers
        self._read_to = 0
        self._until: int | None = None  # number of the last answer to read; later ones are held back
        self._done: Done | None = None  # of a round that is done again
        self._since_fit, self._since_round = Changes(), Changes()
        self.fits, self._closed = 0, False
        self._fitted_to = self._round_began = 0  # numbers of the last answers at these moments

    @property
    def preferences(self) -> list[Preference]:
        """Every current answer, SKIP included, in order of answering; new ones are read from the store."""
        self._read()
        return self._standing.preferences

    @property
    def heldout(self) -> list[Preference]:
        """Current answers to held-out queries."""
        self._read()
        return self._standing.heldout

    @property
    def new(self) -> list[Preference]:
        """Answers since the round began to queries that the same person had not answered by then."""
        self._read()
        return self._since_round.new(self._standing)

    @property
    def choices(self) -> list[Choice]:
        """The choices that the answers imply, in the same order, then those of the learned reward's own answers.

        Without `together`, unchanged answers keep their objects (:attr:`Standing.choices`).
        """
        self._read()
        each = self._standing.choices + self._own.choices
        return self._together(self.preferences, each) if self._together else each

    @property
    def own(self) -> list[Preference]:
        """The learned reward's own answers (:class:`SelfRewardingTeacher`), SKIP included, which are no labels."""
        self._read()
        return self._own.preferences

    @property
    def labels(self) -> int:
        """Number of current answers; a skip is no label."""
        self._read()
        return self._standing.labels

    @property
    def answered(self) -> int:
        """Number of current answers, SKIP included."""
        self._read()
        return len(self._standing)

    @property
    def seconds(self) -> float:
        """Seconds of a person's time that the current answers cost."""
        self._read()
        return self._standing.seconds

    @property
    def asked(self) -> list[Query]:
        """Every query asked so far, the open ones included, and those that the run began with."""
        self._read()
        if self._until is None:
            self._look_up(self.store.open_ids())
        return list(self._asked)

    @property
    def asked_here(self) -> list[Query]:
        """Queries asked so far that the run did not begin with."""
        if not self.before:
            return self.asked
        labels = [p.query.id for p in self.preferences if p.answer is not Answer.SKIP]
        began_with = set(labels[: self.before])
        return [query for query in self.asked if query.id not in began_with]

    @property
    def open(self) -> list[Query]:
        """Queries that wait for an answer, the oldest first."""
        ids = self.store.open_ids()
        self._look_up(ids)
        return [self._queries[id_] for id_ in ids]

    def begin_round(self, done: Done | None = None) -> None:
        """Begin a round: :attr:`new` counts from now, or, if the round is done again, from its first beginning.

        Args:
            done: Range of the answers when the round was done before; answers after it had asked are held back until
                the next round. None if it wasn't done, or that isn't known.
        """
        self._until = done.began if done else None
        self._read()
        self._since_round, self._round_began, self._done = Changes(), self._read_to, done
        # What people answered or took back meanwhile counts at once, since a run with people can't be repeated anyway.
        self._until = done.read if done and not self.people else None

    def hold_back(self, done: Done | None) -> None:
        """Hold back answers since a round to be done again began, except people's; None holds nothing back."""
        self._until = done.began if done and not self.people else None

    @property
    def had_wanted(self) -> int | None:
        """Labels that the round wanted when it was done before, while later answers are held back; None otherwise."""
        return self._done.wanted if self._done and self._until is not None else None

    @property
    def state(self) -> dict[str, int]:
        """Numbers of the last answers at the last fit, at the beginning of this round, and now."""
        self._read()
        return {"fitted": self._fitted_to, "began": self._round_began, "read": self._read_to}

    def restore(self, *, fitted: int) -> None:
        """Go on after a fit to the answers up to number `fitted`, 0 for none; later ones are new to the next fit."""
        self._until = fitted
        self._read()
        self._since_fit, self._fitted_to = Changes(), fitted
        self._until = None

    def post(self, queries: Sequence[Query], *, people: int = 1) -> None:
        """Post queries to be answered; no answer is held back any more."""
        self._until = None
        self.store.post(queries, people=people)
        self._know(queries)

    def tell(
        self,
        queries: Sequence[Query],
        answers: Sequence[Said],
        *,
        teacher: str | Sequence[str] | None = None,
        shown_at: float | None = None,
    ) -> None:
        """Record answers in the store; no answer is held back any more.

        Args:
            queries: The queries that were answered.
            answers: One answer per query.
            teacher: Name of the teacher, or one name per answer; None is the run's own teacher.
            shown_at: When the queries were shown, seconds since 1970; None if nobody looked at them.

        Raises:
            BadInput: If the numbers of answers and queries differ, an answer doesn't fit its query, or an argument has
                the wrong type.
        """
        teacher = teacher or self.teacher.name
        for name, given in (("queries", queries), ("answers", answers), ("teacher", teacher)):
            if not isinstance(given, Sequence):
                wanted = "a name" if name == "teacher" else f"a list of {name}"
                raise BadInput(f"{name} is {reprlib.repr(given)}, of type {type(given).__name__}; expected {wanted}")
        if wrong := [query for query in queries if not isinstance(query, Query)]:
            raise BadInput(f"queries holds {wrong[0]!r}; give the Query objects that ask returned")
        if len(queries) != len(answers):
            raise BadInput(f"{len(answers)} answers came to {len(queries)} queries; give one answer a query")
        if not isinstance(teacher, str) and len(teacher) != len(queries):
            raise BadInput(f"teacher has {len(teacher)} names for {len(queries)} queries; give one, or one a query")
        if not isinstance(shown_at, int | float | None):
            raise BadInput(f"shown_at is {shown_at!r}; use seconds since 1970, as time.time() gives them")
        self._until = None
        ids = [query.id for query in queries]
        self.store.record_all(ids, answers, teacher=teacher, shown_at=shown_at, answered_at=time.time())

    @property
    def changed(self) -> int:
        """Number of answers to fit to that are new, changed or taken back since the last :meth:`fitted`."""
        self._read()
        return self._since_fit.fitted_to(self._standing)

    def by_query(self) -> defaultdict[str, list[str]]:
        """List the names of those who have answered each query, by its id."""
        self._read()
        found: defaultdict[str, list[str]] = defaultdict(list)
        for query_id, who in self._standing:
            found[query_id].append(who)
        return found

    def renew_own(self, teacher: SelfRewardingTeacher) -> None:
        """Have the learned reward renew its own answers (:class:`OwnAnswers`)."""
        self._know(self._own.renew(teacher, self.preferences, fitted=self.fits > 0))

    def fitted(self) -> None:
        """Note that the reward model was fitted to the answers read so far; any later ones are new."""
        self._since_fit, self._fitted_to = Changes(), self._read_to
        self.fits += 1

    def close(self) -> None:
        """Close the store; answers read so far stay known. Harmless if done twice."""
        if not self._closed:
            with suppress(Exception):  # the store's place may be gone already
                self._read()
            self._closed = True
            self.store.close()

    def _read(self) -> None:
        """Read the answers given since the last time, but for those held back."""
        if self._closed or (self._until is not None and self._until <= self._read_to):
            return
        new = self.store.answers_since(self._read_to, until=self._until)
        self._look_up([given.query_id for given in new])
        for given in new:
            key = (given.query_id, given.person)
            if (query := self._queries[given.query_id]).why == OWN:
                self._own.read(query, given)
                self._read_to = given.number
                continue
            for changes in (self._since_fit, self._since_round):
                changes.note(key, self._standing)
            answer, times = given.answer, (given.shown_at, given.answered_at)
            said = None if answer is None else Preference(query, answer, given.person, *times)
            self._standing.replace(key, said)
            self._read_to = given.number

    def _look_up(self, ids: Sequence[str]) -> None:
        """Read the queries of these ids, unless they were posted here."""
        if unknown := list(dict.fromkeys(id_ for id_ in ids if id_ not in self._queries)):
            self._know(self.store.queries(unknown))

    def _know(self, queries: Sequence[Query]) -> None:
        self._asked += [query for query in queries if query.id not in self._queries and query.why != OWN]
        self._queries |= {query.id: query for query in queries}
