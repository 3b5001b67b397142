"""A run's queries and answers: the preference store, read as it grows."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import final

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Answer, Choice, Preference, Query, Said
from rlhf_gym.standing import Changes, Standing
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import OWN, Open, OwnAnswers, People, SelfRewardingTeacher, Several, Teacher

Together = Callable[[Sequence[Preference], Sequence[Choice]], list[Choice]]
"""(Every answer, the choices that each implies by itself) -> the choices that they imply together."""
TRIES = 10  # for a teacher who isn't a person, and skips


@dataclass(frozen=True)
class Meanwhile:
    """How the run goes on while people think.

    Args:
        outstanding: Queries that may be open.
        refit: New answers after which the reward model is fitted again; as many are waited for before the first fit.
        stale_steps: Environment steps of learning after which an open query is withdrawn.
    """

    outstanding: int
    refit: int
    stale_steps: float


@dataclass(frozen=True)
class Done:
    """Where the answers were in a round that is now done again.

    Args:
        began: Number of the last answer that was there as it began.
        read: Number of the last one as it had asked all it was to ask; None if the run was interrupted before.
        wanted: Labels there were to be by then.
    """

    began: int
    read: int | None = None
    wanted: int = 0


@final
class Answers:
    """The queries of a run and their answers, all of them through the store, which is the one truth.

    Args:
        store: Where queries are posted and answers kept.
        teacher: What answers: a program, or people.
        budget: Labels there will be, besides those that were there before.
        before: Labels that the run began with.
        people_per_query: People who answer each query; each answer is a label. Several teachers who aren't people know
            themselves how many of them do.
        meanwhile: How to go on while people think; None waits for them.
        together: What answers imply together; None is what each implies by itself.

    Attributes:
        fits: How often a reward model was fitted to them.
    """

    def __init__(
        self,
        store: PreferenceStore,
        teacher: Teacher,
        *,
        budget: int,
        before: int = 0,
        people_per_query: int = 1,
        meanwhile: Meanwhile | None = None,
        together: Together | None = None,
    ) -> None:
        self.store, self.teacher, self._budget, self._before = store, teacher, budget, before
        self.people = teacher if isinstance(teacher, People) else None
        self._each = people_per_query if self.people else teacher.each if isinstance(teacher, Several) else 1
        self.meanwhile, self._together = meanwhile if self.people else None, together
        self._queries: dict[str, Query] = {}
        self._asked: list[Query] = []
        self._standing = Standing()
        self._own = OwnAnswers(store)  # what the learned reward says, unasked
        self._read_to = 0
        self._until: int | None = None  # number of the last answer that is read; later ones are held back
        self._done: Done | None = None  # of a round that is done again
        self._since_fit, self._since_round = Changes(), Changes()
        self.fits, self._closed = 0, False
        self._fitted_to = self._round_began = 0  # numbers of the last answers then
        self._restored = False  # whether the next round begins where a checkpoint was

    @property
    def preferences(self) -> list[Preference]:
        """Every current answer, SKIP included, in order of answering; new ones are read from the store."""
        self._read()
        return self._standing.preferences

    @property
    def heldout(self) -> list[Preference]:
        """Those of them to held-out queries."""
        self._read()
        return self._standing.heldout

    @property
    def new(self) -> list[Preference]:
        """Those of them that came since the round began, where none of the same person stood then."""
        self._read()
        return self._since_round.new(self._standing)

    @property
    def choices(self) -> list[Choice]:
        """The choices that the answers imply, in the same order; an answer that stays keeps its objects.

        Those that the learned reward's own answers imply come last.
        """
        self._read()
        each = self._standing.choices + self._own.choices
        return self._together(self.preferences, each) if self._together else each

    @property
    def own(self) -> list[Preference]:
        """What the learned reward answers itself (:class:`SelfRewardingTeacher`), SKIP included: no labels."""
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
        """What the current answers cost of a person's time."""
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
        """Those of them that the run did not begin with."""
        if not self._before:
            return self.asked
        labels = [p.query.id for p in self.preferences if p.answer is not Answer.SKIP]
        began_with = set(labels[: self._before])
        return [query for query in self.asked if query.id not in began_with]

    @property
    def open(self) -> list[Query]:
        """Queries that wait for an answer, the oldest first."""
        ids = self.store.open_ids()
        self._look_up(ids)
        return [self._queries[id_] for id_ in ids]

    def begin_round(self, done: Done | None = None) -> None:
        """Let :attr:`new` be what comes from now on, or, if the round is done again, what came since it first began.

        Args:
            done: Where the answers were when it was done before: those that came once it had asked are held back till
                the next round. None if it wasn't done, or that isn't known.
        """
        if done or not self._restored:
            self._until = done.began if done else None
            self._read()
            self._since_round, self._round_began = Changes(), self._read_to
        self._restored, self._done = False, done
        # What people said meanwhile, or took back, counts at once: no run of theirs is ever the same again.
        self._until = done.read if done and not self.people else None

    def hold_back(self, done: Done | None) -> None:
        """Hold back what came after the beginning of a round that is to be done again; None holds nothing back."""
        self._until = done.began if done and not self.people else None

    @property
    def state(self) -> dict[str, int]:
        """Numbers of the last answers that were there at the last fit, as this round began, and now."""
        self._read()
        return {"fitted": self._fitted_to, "began": self._round_began, "read": self._read_to}

    def restore(self, *, fitted: int, began: int) -> None:
        """Go on where a round began: what was answered since is new.

        Args:
            fitted: Number of the last answer that was there at the last fit; 0 for none.
            began: Number of the last one that was there as the round began.
        """
        self._until = fitted
        self._read()
        self._since_fit, self._fitted_to = Changes(), fitted
        self._until = began
        self._read()
        self._since_round, self._round_began, self._restored = Changes(), began, True
        self._until = None

    def post(self, queries: Sequence[Query], *, people: int = 1) -> None:
        """Put queries up for answering; nothing is held back any more."""
        self._until = None
        self.store.post(queries, people=people)
        self._know(queries)

    def tell(
        self,
        queries: Sequence[Query],
        answers: Sequence[Said],
        *,
        teacher: str | None = None,
        shown_at: float | None = None,
    ) -> None:
        """Keep answers that were given here and now; nothing is held back any more.

        Args:
            queries: What was asked.
            answers: One for each.
            teacher: Who answered; None is the run's own teacher.
            shown_at: When the queries were shown, seconds since 1970; None where nobody looked.

        Raises:
            BadInput: If there are not as many answers as queries, one is none to its query, or something else came
                than queries.
        """
        if wrong := [query for query in queries if not isinstance(query, Query)]:
            raise BadInput(f"queries holds {wrong[0]!r}; give the Query objects that ask returned")
        if len(queries) != len(answers):
            raise BadInput(f"{len(answers)} answers came to {len(queries)} queries; give one answer a query")
        self._until = None
        ids = [query.id for query in queries]
        teacher = teacher or self.teacher.name
        self.store.record_all(ids, answers, teacher=teacher, shown_at=shown_at, answered_at=time.time())

    def missing(self, wanted: int, *, last: bool, step: int) -> Iterator[tuple[int, int]]:
        """Say how many queries to ask, again and again, until enough are answered; the caller posts them.

        Between two things that are missing, the teacher answers: people are waited for, unless the run goes on
        meanwhile and this isn't the last round that asks. A skipped query is asked for again: of people as often as it
        takes, of any other teacher ten times.

        Args:
            wanted: Labels there shall be besides those from before, or a few more where several people answer each
                query.
            last: Whether no later round asks.
            step: Environment steps that the policy has learned from.

        Yields:
            Numbers of queries, and of people who are to answer each.

        Raises:
            BadInput: If nothing but skips ever came, or people can't reach the store, which is in memory.
        """
        if self._until is not None and self._done:
            if wanted <= self._done.wanted:  # it has asked, and was answered, before
                return
            self._until = None  # it shall ask for more than then
        if self.people and self.store.in_memory:
            raise BadInput(f"teacher is {self.teacher.name}, who answers through a store; set run_dir or store")
        if self.meanwhile and self.people and not last:
            yield from self._go_on(wanted, self.meanwhile, self.people, step)
            return
        skipped = 0
        while self.people or skipped < TRIES:
            waiting = self.store.open_ids()  # before counting: an answer that comes meanwhile is seen twice, never lost
            missing = list(self._unasked(wanted))
            yield from missing
            if not (waiting or missing):
                break
            if self.people:
                self.people.wait()
            elif Answer.SKIP in self._have_answered():
                skipped += 1
            elif not any(self._unasked(wanted)):  # fewer were asked than could have been, where one hangs on another
                break
        self._renew_own()
        if wanted and not self.labels:
            raise BadInput(
                f"teacher {self.teacher.name} skipped all {len(self.preferences)} queries; expected an answer"
            )

    @property
    def enough_new(self) -> bool:
        """Whether enough answers are new, or taken back, since the last :meth:`fitted` for fitting again."""
        enough = self.meanwhile.refit if self.meanwhile and self.fits else 1
        return bool(self.choices) and self._since_fit.fitted_to(self._standing) >= enough

    def fitted(self) -> None:
        """Note that the reward model was fitted to the answers read so far; meanwhile others may have come."""
        self._since_fit, self._fitted_to = Changes(), self._read_to
        self.fits += 1

    def close(self) -> None:
        """Close the store; answers read so far stay known. Harmless if done twice."""
        if not self._closed:
            with suppress(Exception):  # closing does not fail: the place may be gone already
                self._read()
            self._closed = True
            self.store.close()

    def _have_answered(self) -> Sequence[Said]:
        """Have a teacher that isn't a person answer the open queries."""
        waiting = self.open
        if isinstance(self.teacher, Several):
            return self._have_several_answer(self.teacher, waiting)
        answers = self.teacher.answer(waiting)
        self.tell(waiting, answers)
        return answers

    def _have_several_answer(self, teachers: Several, waiting: Sequence[Query]) -> Sequence[Said]:
        """Have several teachers answer, and keep what each says under their name."""
        by: dict[str, list[str]] = defaultdict(list)
        self._read()
        for query_id, who in self._standing:
            by[query_id].append(who)
        wanted = [self.store.wanted(query.id) - len(by[query.id]) if self._each > 1 else 1 for query in waiting]
        replies = teachers.replies([Open(q, n, by[q.id]) for q, n in zip(waiting, wanted, strict=True)])
        for who in dict.fromkeys(reply.who for reply in replies):
            theirs = [reply for reply in replies if reply.who == who]
            self.tell([reply.query for reply in theirs], [reply.answer for reply in theirs], teacher=who)
        return [reply.answer for reply in replies]

    def _renew_own(self) -> None:
        """Have the learned reward judge anew what it is sure of, where it is to be fitted to new answers."""
        if isinstance(self.teacher, SelfRewardingTeacher) and self.enough_new:
            self._know(self._own.renew(self.teacher, self.preferences, fitted=self.fits > 0))

    def _go_on(self, wanted: int, how: Meanwhile, people: People, step: int) -> Iterator[tuple[int, int]]:
        """Withdraw stale queries, ask, and wait only while too many queries are open."""
        stale = [q.id for q in self.open if q.policy_step < step - how.stale_steps and q.repeats is None]
        if stale:
            self.store.drop(stale)
        yield from self._unasked(wanted)
        answered = self.labels
        while self._too_few(wanted, how):
            people.wait_for(1)
            yield from self._unasked(wanted)
        if self.fits:
            people.wait(open_at_most=how.outstanding)
        else:
            people.wait_for(how.refit - (self.labels - answered))

    def _too_few(self, wanted: int, how: Meanwhile) -> bool:
        """Tell whether to wait for an answer because a scheme that hangs on it couldn't ask all that was wanted."""
        unasked = sum(n for n, _ in self._unasked(wanted))
        if not unasked:
            return False
        return unasked + len(self.store.open_ids()) > how.outstanding if self.fits else self.labels < how.refit

    def _unasked(self, wanted: int) -> Iterator[tuple[int, int]]:
        """Count the queries still to be asked; the last one of fewer people where the budget runs out."""
        whole = min(self._budget, math.ceil(wanted / self._each) * self._each)
        missing = max(0, self._before + whole - self._given_or_awaited())
        for n, people in ((missing // self._each, self._each), (1, missing % self._each)):
            if n and people:
                yield n, people

    def _given_or_awaited(self) -> int:
        if not self.people:  # and what the reward answers itself is no label, whatever the store counts
            return self.labels + (len(self.store.open_ids()) if self._each == 1 else self.store.counts().awaited)
        counts = self.store.counts()  # of one moment, while people answer and undo
        return counts.labels + counts.awaited

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
