"""How a run gets its answers: count the queries still to ask, and have the teacher answer, or wait for people."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import final

from rlhf_gym.answers import Answers
from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Answer, Query, Said
from rlhf_gym.teachers import Open, People, SelfRewardingTeacher, Several

TRIES = 10  # of a teacher who isn't a person and skips


@dataclass(frozen=True)
class Meanwhile:
    """How the run goes on while people think.

    Args:
        outstanding: Most queries that may be open while the run goes on.
        refit: New answers after which the reward model is fitted again; also waited for before the first fit.
        stale_steps: Environment steps of learning after which an open query is withdrawn.
    """

    outstanding: int
    refit: int
    stale_steps: float


@final
class Asking:
    """What a run still has to ask, and when its teacher answers.

    Args:
        answers: Answers so far.
        budget: Labels of the run, besides those that it began with.
        people_per_query: People who answer each query; each answer is a label. A :class:`Several` teacher has a number
            of its own.
        meanwhile: How to go on while people think; None waits for them.
    """

    def __init__(
        self, answers: Answers, *, budget: int, people_per_query: int = 1, meanwhile: Meanwhile | None = None
    ) -> None:
        self.answers, self._budget = answers, budget
        self._store, self._teacher, self._people = answers.store, answers.teacher, answers.people
        self._each = people_per_query if self._people else 1
        if isinstance(self._teacher, Several):
            self._each = self._teacher.each
        self._meanwhile = meanwhile if self._people else None

    def missing(self, wanted: int, *, last: bool, step: int) -> Iterator[tuple[int, int]]:
        """Yield numbers of queries to ask until enough are answered; the caller posts them.

        Between yields the teacher answers. People are waited for, unless the run goes on meanwhile and this isn't the
        last round that asks. A skipped query is replaced by another: for people as often as it takes, for any other
        teacher ten times.

        Args:
            wanted: Labels to have, besides those that the run began with; a few more where several people answer each
                query.
            last: Whether no later round asks.
            step: Environment steps that the policy has learned from.

        Yields:
            Number of queries, and number of people to answer each.

        Raises:
            BadInput: If every answer was a skip, or people can't reach the store, because it is in memory.
        """
        if (before := self.answers.had_wanted) is not None:
            if wanted <= before:  # it asked before, and has its answers
                return
            self.answers.hold_back(None)  # it has to ask for more than before
        if self._people and self._store.in_memory:
            raise BadInput(f"teacher is {self._teacher.name}, who answers through a store; set run_dir or store")
        if self._meanwhile and self._people and not last:
            yield from self._go_on(wanted, self._meanwhile, self._people, step)
            return
        skipped = 0
        while self._people or skipped < TRIES:
            waiting = self._store.open_ids()  # before counting: an answer that comes now is seen twice, never lost
            missing = list(self._unasked(wanted))
            yield from missing
            if not (waiting or missing):
                break
            if self._people:
                self._people.wait()
            elif Answer.SKIP in self._have_answered():
                skipped += 1
            elif not any(self._unasked(wanted)):  # else the scheme asked fewer, because it needs answers first
                break
        if skipped == TRIES and last and 0 < (got := self.answers.labels - self.answers.before) < wanted:
            print(f"{got} of {wanted} labels: teacher {self._teacher.name} skipped the others", file=sys.stderr)
        if isinstance(self._teacher, SelfRewardingTeacher) and self.enough_new:
            self.answers.renew_own(self._teacher)
        if wanted and not self.answers.labels:
            raise BadInput(
                f"teacher {self._teacher.name} skipped all {self.answers.answered} queries; expected an answer"
            )

    @property
    def enough_new(self) -> bool:
        """Whether enough answers are new, changed or taken back since the last fit for another one."""
        enough = self._meanwhile.refit if self._meanwhile and self.answers.fits else 1
        return bool(self.answers.choices) and self.answers.changed >= enough

    def _have_answered(self) -> Sequence[Said]:
        """Have a teacher that isn't a person answer the open queries."""
        waiting = self.answers.open
        if isinstance(self._teacher, Several):
            return self._have_several_answer(self._teacher, waiting)
        said = self._teacher.answer(waiting)
        self.answers.tell(waiting, said)
        return said

    def _have_several_answer(self, teachers: Several, waiting: Sequence[Query]) -> Sequence[Said]:
        """Have several teachers answer, and record each one's answers under its name."""
        by = self.answers.by_query()
        wanted = [self._store.wanted(query.id) - len(by[query.id]) if self._each > 1 else 1 for query in waiting]
        replies = teachers.replies([Open(q, n, by[q.id]) for q, n in zip(waiting, wanted, strict=True)])
        each = [[reply for reply in replies if reply.who == who] for who in dict.fromkeys(one.who for one in replies)]
        told = list(chain.from_iterable(each))
        said = [reply.answer for reply in told]
        self.answers.tell([reply.query for reply in told], said, teacher=[reply.who for reply in told])
        return said

    def _go_on(self, wanted: int, how: Meanwhile, people: People, step: int) -> Iterator[tuple[int, int]]:
        """Withdraw stale queries, ask, and wait only while too many queries are open."""
        stale = [q.id for q in self.answers.open if q.policy_step < step - how.stale_steps and q.repeats is None]
        if stale:
            self._store.drop(stale)
        yield from self._unasked(wanted)
        answered = self.answers.labels
        while self._too_few(wanted, how):
            people.wait_for(1)
            yield from self._unasked(wanted)
        if self.answers.fits:
            people.wait(open_at_most=how.outstanding)
        else:
            people.wait_for(how.refit - (self.answers.labels - answered))

    def _too_few(self, wanted: int, how: Meanwhile) -> bool:
        """Return whether to wait for an answer because the scheme needs it to ask all that is wanted."""
        unasked = sum(n for n, _ in self._unasked(wanted))
        if not unasked:
            return False
        if self.answers.fits:
            return unasked + len(self._store.open_ids()) > how.outstanding
        return self.answers.labels < how.refit

    def _unasked(self, wanted: int) -> Iterator[tuple[int, int]]:
        """Count the queries still to ask; the last one goes to fewer people if the budget runs out."""
        whole = min(self._budget, math.ceil(wanted / self._each) * self._each)
        missing = max(0, self.answers.before + whole - self._given_or_awaited())
        for n, people in ((missing // self._each, self._each), (1, missing % self._each)):
            if n and people:
                yield n, people

    def _given_or_awaited(self) -> int:
        if not self._people:  # the learned reward's own answers are no labels, though the store counts them
            awaited = len(self._store.open_ids()) if self._each == 1 else self._store.counts().awaited
            return self.answers.labels + awaited
        counts = self._store.counts()  # both of the same moment, since people answer and undo
        return counts.labels + counts.awaited
