"""The labelling desk behind terminal, page and notebook: hand out queries, take answers, take them back."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from rlhf_gym.kinds import find_kind
from rlhf_gym.labelling.clips import Clip, ClipCache
from rlhf_gym.preferences import OWN, Level, Query, Said
from rlhf_gym.quality.assessment import assess
from rlhf_gym.quality.report import QualityReport
from rlhf_gym.store import Counts, PreferenceStore, StoredRun, UnknownQuery
from rlhf_gym.store import Taken as Taken  # as the pages know it

LATELY = 100  # answers that can be taken back in a newly opened window


class Progress(NamedTuple):
    """The progress of labelling. A skip is no label."""

    answered: int
    """Current labels of all people together."""
    by_you: int
    """Current labels of this person."""
    labels: int | None
    """The budget; None where nobody has set one."""
    waiting: int
    """Queries that wait for an answer, from whomever, and can be shown here."""
    median_seconds: float | None
    """Seconds from seeing a query to answering it, over this person's current answers; None before the first."""


class Desk:
    """Hand out queries to people and take their answers. Safe to use from many threads.

    Args:
        store: Where queries come from and answers go.
        clips: Draws their clips.
        labels: The budget, shown with the progress; None is the sum over the store's runs, if all of them have one.
        instructions: What to look for, in the researcher's words; "" takes those of each query's run if the store shows
            every run.
        lease: Seconds for which a query is reserved for the person it was given to; each :meth:`next` and
            :meth:`reserve` renews it.
        ahead: How many clips are drawn for a person besides the one in view. Their queries aren't reserved, but others
            get them only if there is nothing else.
        kinds: Kinds of query that can be shown here; others are neither handed out nor looked up.
        levels: Names of a rating's levels, the worst first; empty takes those of each query's run if the store shows
            every run, and numbers otherwise.
    """

    def __init__(
        self,
        store: PreferenceStore,
        clips: ClipCache,
        *,
        labels: int | None = None,
        instructions: str = "",
        lease: float = 120.0,
        ahead: int = 2,
        kinds: Collection[str] = ("comparison",),
        levels: Sequence[str] = (),
    ) -> None:
        self._store, self._clips, self._lease, self._ahead = store, clips, lease, ahead
        self.labels, self.instructions, self.kinds = labels, instructions, tuple(kinds)
        self.levels = tuple(levels)
        self._undoing = threading.Lock()
        self._coming: dict[str, tuple[float, list[str]]] = {}  # by person: until when, and ids of what comes next

    def next(self, person: str) -> Query | None:
        """Give a person the query to answer now, the same until it is answered; None if none is open."""
        return next(iter(self.upcoming(person)), None)

    def upcoming(self, person: str) -> list[Query]:
        """Reserve the query of :meth:`next`, and queue its clip and those that come next; empty if none is open."""
        now, coming = time.monotonic(), dict(self._coming)
        others = {id_ for who, (until, ids) in coming.items() if who != person and until > now for id_ in ids}
        queries = self._store.claim(person, ahead=self._ahead, last=others, lease=self._lease, kinds=self.kinds)
        self._coming[person] = now + self._lease, [query.id for query in queries[1:]]
        self._clips.ahead(queries)
        return queries

    def reserve(self, person: str, query_id: str) -> bool:
        """Renew the reservation of a query that a person is looking at; return False if others have taken it.

        Raises:
            UnknownQuery: If there is no such query.
        """
        return self._store.reserve(query_id, person, lease=self._lease)

    def clip(self, query_id: str, *, timeout: float = 60.0) -> Clip:
        """Wait for the clip of a query.

        Raises:
            UnknownQuery: If there is no such query.
            ClipNotReady: If it takes longer than `timeout` seconds.
            ClipError: If it can't be drawn.
        """
        return self._clips.wait(self.query(query_id), timeout=timeout)

    def drawing(self, query_id: str) -> Future[None]:
        """Queue the clip of a query; the future is done once :meth:`clip` needn't wait any more.

        Raises:
            UnknownQuery: If there is no such query.
        """
        return self._clips.drawing(self.query(query_id))

    def keep_reserved(self, query_id: str) -> None:
        """Renew the reservations of a query, because people can't answer it until its clip is drawn."""
        self._store.renew(query_id, lease=self._lease)

    def query(self, query_id: str) -> Query:
        """Look a query up by its id.

        Raises:
            UnknownQuery: If there is none, or its kind can't be shown here.
        """
        query = self._store.query(query_id)
        if query.kind not in self.kinds:
            raise UnknownQuery(
                f"query {query_id!r} is a {query.kind}, and only {' or '.join(self.kinds)} can be shown here; label it "
                "elsewhere: rlhf-gym label, or label --web"
            )
        return query

    def levels_of(self, query: Query) -> list[str]:
        """Name the levels that a query is rated on, the worst first, by number unless there is a word for each level.

        Returns:
            Empty if the query asks for no rating.
        """
        kind = find_kind(query.kind)
        best = kind.said([1.0]) if kind.alone else None
        if not isinstance(best, Level):
            return []
        levels = self.levels or (self._store.run_of(query.id).levels if self._store.shows_every_run else ())
        return list(levels) if len(levels) == best.of else [str(n) for n in range(1, best.of + 1)]

    def instructions_for(self, query: Query | None) -> str:
        """Say what to look for in a query, in the researcher's words; "" where there are none."""
        if self.instructions or query is None or not self._store.shows_every_run:
            return self.instructions
        return self._store.run_of(query.id).instructions

    def answer(self, person: str, query_id: str, answer: Said, shown_at: float | None = None) -> None:
        """Record an answer, which is safe on return; the same one sent twice counts once.

        Args:
            person: Who answers.
            query_id: The query's id.
            answer: The answer.
            shown_at: When the query came in view, seconds since 1970; None where that isn't known.

        Raises:
            UnknownQuery: If there is no such query.
            Taken: If a different answer of theirs is current, which :meth:`undo` takes back; or if their lease ran out
                and others, as many as the query wants, hold it or have answered it.
        """
        self._store.record_in_turn(query_id, answer, person=person, shown_at=shown_at)

    def standing(self, person: str, query_id: str) -> Said | None:
        """Look up a person's current answer to a query; None if there is none."""
        return self._store.standing(query_id).get(person)

    def answered(self, person: str) -> list[str]:
        """List the ids of the queries that a person answered last, the latest last: what :meth:`undo` may take back."""
        return self._store.lately_answered(person, most=LATELY, kinds=self.kinds)

    def undo(self, person: str, answered: list[str] | None = None) -> Query | None:
        """Take back a person's last current answer, and reserve its query for them unless others hold it by now.

        Args:
            person: Whose answer.
            answered: Ids of the queries whose answers may be taken back, the latest last: :meth:`answered` as of when
                the person's window was opened, and what was answered in it since. So answers of the same name in
                another window stay, and the same list sent twice takes one answer back. The latest query with a current
                answer and all after it are removed from the list. None is the person's last answer of all.

        Returns:
            Its query; None if there is no such answer.
        """
        with self._undoing:
            if answered is None:
                last = self._store.last_answered(person, kinds=self.kinds)
                return None if last is None else self._taken_back(person, last.query)
            while answered:
                query = self._known(answered.pop())
                if query is not None and person in self._store.standing(query.id):
                    return self._taken_back(person, query)
                if query is not None and person in self._store.holders(query.id):  # taken back, but the reply was lost
                    return query
            return None

    def _known(self, query_id: str) -> Query | None:
        """Look a query up; None if it is of another run, which was labelled at the same address before."""
        try:
            return self.query(query_id)
        except UnknownQuery:
            return None

    def _taken_back(self, person: str, query: Query) -> Query:
        self._store.record(query.id, None, teacher=person)
        self._clips.ahead([query])
        return query

    def release(self, person: str) -> None:
        """Release the queries that a person holds, for others to answer."""
        self._coming.pop(person, None)
        self._store.release(person)

    def progress(self, person: str) -> Progress:
        """Count the answers to queries of every kind, as the budget does, and the open queries of kinds shown here."""
        mine = self._store.counts_of(person)
        return Progress(
            answered=self._store.counts().labels,
            by_you=mine.labels,
            labels=self.labels if self.labels is not None else _sum(run.labels for run in self._store.runs()),
            waiting=self._store.counts(self.kinds).open,
            median_seconds=mine.median_seconds,
        )

    def waiting_elsewhere(self) -> int:
        """Count the open queries of kinds that can't be shown here."""
        return self._store.counts().open - self._store.counts(self.kinds).open

    def progress_by_run(self) -> list[tuple[StoredRun, Counts]]:
        """Count answered and open queries of each run that has asked some."""
        return self._store.counts_by_run()

    def quality(self, run: str | None = None) -> QualityReport:
        """Assess the answers to a run, each person's and all people's.

        Args:
            run: Its name; None is the only one, or the first.

        Raises:
            BadInput: If there is no such run.
        """
        if run is None and len(runs := self._store.runs()) < 2:
            return judge(self._store)
        with self._store.of_run(run or runs[0].name) as store:
            return judge(store)


def _sum(budgets: Iterable[int | None]) -> int | None:
    known = list(budgets)
    return None if None in known else sum(known)  # type: ignore[arg-type]


def judge(store: PreferenceStore, *, reliability: bool = False) -> QualityReport:
    """Assess the answers in a store as of one moment; answers that come meanwhile are left out.

    Answers that the learned reward gave itself are left out too, because it is no teacher.
    """
    history = store.history()
    queries = {preference.query.id: preference.query for preference in store.preferences()}
    # An answer taken back between the two reads is still in the first.
    missing = {given.query_id for given in history if given.answer is not None} - queries.keys()
    asked = [*queries.values(), *store.queries(sorted(missing))]
    own = {query.id for query in asked if query.why == OWN}
    return assess([given for given in history if given.query_id not in own], asked, reliability=reliability)
