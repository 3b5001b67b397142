"""The preference store: where trainer, prompts and pages meet."""

from __future__ import annotations

import time
import weakref
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import final

from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import answer_text
from rlhf_gym.preferences import Preference, Query, Said
from rlhf_gym.store import leases, merging
from rlhf_gym.store.batches import batches
from rlhf_gym.store.database import in_memory, open_database, place
from rlhf_gym.store.patience import PATIENCE
from rlhf_gym.store.queries import keep_at_hand, read, were_written, write, written
from rlhf_gym.store.reading import Reading
from rlhf_gym.store.recording import answers_missing, check_turn
from rlhf_gym.store.rows import answer_row, check_text
from rlhf_gym.store.runs import Scope, StoredRun, begin_run, check_name, check_one_to_write, describe_run, find_run
from rlhf_gym.store.schema import ANSWERS
from rlhf_gym.store.trainer_lock import TrainerLock
from rlhf_gym.store.transactions import Transactions


@final
class PreferenceStore(Reading):
    """Queries and their answers in a database: the trainer posts, people answer, the trainer reads.

    Nothing is ever overwritten. Every answer is a row of its own, and a person's last answer to a query is the current
    one: an answer that is sent twice counts once. A query is for one person unless posted for more. If a lease expires
    and a second person answers too, both answers are kept and both count as labels. A method's writes are committed
    when it returns, and safe from a power cut (but for leases).

    A segment is stored once, in however many queries it appears. A query object that is still referenced is returned
    again without reading the database: only new queries cost time.

    A database that is locked, full, or on a server that is started anew is waited for; a word on stderr says so.

    A database may hold several runs, each with a budget of its own. Opened for one of them, the store shows that one
    alone. Opened for none, it shows all: a person is given the query that has waited longest, whichever run's it is.

    Args:
        url: Database URL as SQLAlchemy reads it, or the path of an SQLite file; made if it isn't there. The default
            lives in memory and is gone with the store.
        lasting: Have a write return only when it is safe from a power cut, which takes some 4 ms on a disk. False is
            for teachers who can be asked again: what was written then survives the end of the process alone.
        patience: Seconds for which a database that can't be used is waited for.
        run: Name of the run to show; or the run itself, which begins now unless it is there. None shows every run,
            under ids that tell them apart; then nothing can be posted unless there is only one.

    Raises:
        BadInput: If the database can't be opened, belongs to something else, is of another version, or has no such run;
            and later from any method, if its file turns out to be damaged, or it couldn't be used for too long.
        ImportError: If the URL's driver isn't installed.
    """

    def __init__(
        self,
        url: str | Path = "sqlite://",
        *,
        lasting: bool = True,
        patience: float = PATIENCE,
        run: str | StoredRun | None = None,
    ) -> None:
        if isinstance(run, StoredRun):
            check_name(run.name)
        self._url, self._patience = url, patience
        engine = open_database(url, patience=patience)
        does = Transactions(engine, lasting=lasting, patience=patience)
        try:
            scope = _scope(does, run, place(engine))
        except BaseException:
            does.close()
            raise
        super().__init__(engine, does, scope)
        self._close = weakref.finalize(self, does.close)  # a store that is dropped closes itself

    @property
    def in_memory(self) -> bool:
        """Whether nobody but this object can reach it."""
        return in_memory(self._engine)

    def beside(self, name: str) -> Path | None:
        """Name a file of the run's in the folder of the store's own; None where that is in memory or on a server."""
        if self.in_memory or "://" in self.place:
            return None
        return Path(self.place).with_name(name if self._scope.number in (None, 1) else f"{self._scope.number}-{name}")

    def train_alone(self) -> None:
        """Keep other trainers of the run out until the store is closed, or this process ends in any way.

        Harmless if done twice.

        Raises:
            BadInput: If another trainer has it, whichever machine it is on.
        """
        self._does.trainer = self._does.trainer or TrainerLock(self._engine, run=self._scope.number or 1)

    def describe(self, run: StoredRun) -> None:
        """Keep what people are shown of a run from now on: its budget, instructions, levels, and how clips are drawn.

        Args:
            run: Known by its name.
        """
        self._does.write(lambda connection, _: describe_run(connection, run))

    def of_run(self, name: str) -> PreferenceStore:
        """Open the same database anew for one of its runs.

        Raises:
            BadInput: If there is no such run.
        """
        return PreferenceStore(self._url, patience=self._patience, run=name)

    def post(self, queries: Sequence[Query], *, people: int = 1) -> None:
        """Put queries up for answering: all of them, or none if one is refused.

        Args:
            queries: To be answered.
            people: How many people are to answer each, at least 1.

        Raises:
            BadInput: If a query's id is in the store already or comes twice, if it isn't of its kind, if a segment
                can't be written, or if `people` is below 1.
        """
        if people < 1:
            raise BadInput(f"people is {people}; ask at least 1 for each query")
        texts: dict[int, str] = {}
        posted = [written(query, texts, scope=self._scope) for query in queries]
        if not posted:
            return
        now = time.time()

        def do(connection: Connection, again: bool) -> None:
            check_one_to_write(connection, self._scope)
            if not (again and were_written(connection, posted, now)):
                write(connection, posted, [{"people": people, "posted_at": now}] * len(posted), self._at_hand)

        try:
            self._does.write(do)
            keep_at_hand(posted, self._at_hand)
        except IntegrityError as error:
            keys = [one.key for one in posted]
            twice = sorted(self._known(keys) or {key for key in keys if keys.count(key) > 1})
            if not twice:
                raise
            raise BadInput(
                f"query {self._scope.id(twice[0])!r} was posted before; a query is posted once: give each new one an "
                "id of its own"
            ) from error

    def record(
        self,
        query_id: str,
        answer: Said | None,
        *,
        teacher: str,
        shown_at: float | None = None,
        answered_at: float | None = None,
    ) -> None:
        """Record a person's answer to a query, even without a lease, or after the query was withdrawn.

        Args:
            query_id: Which query.
            answer: What was said; None withdraws what `teacher` said before, and leases the query to them again unless
                others have it by now.
            teacher: Who said it.
            shown_at: When the query was shown, seconds since 1970; None where nobody looked.
            answered_at: When the answer came, likewise; None is now.

        Raises:
            UnknownQuery: If there is no such query.
            BadInput: If the answer isn't one to a query of that kind.
        """
        self.record_all([query_id], [answer], teacher=teacher, shown_at=shown_at, answered_at=answered_at)

    def record_all(
        self,
        query_ids: Sequence[str],
        answers: Sequence[Said | None],
        *,
        teacher: str | Sequence[str],
        shown_at: float | None = None,
        answered_at: float | None = None,
    ) -> None:
        """:meth:`record` for N queries at once: all of them, or none if one is refused.

        `teacher` said all, or there is one name for each.
        """
        if len(query_ids) != len(answers):
            raise BadInput(f"got {len(answers)} answers to {len(query_ids)} queries; expected one answer to each")
        shapes = self._shapes(query_ids)
        texts = [
            None if answer is None else answer_text(answer, kind=kind, options=options, query_id=query_id)
            for query_id, answer, (kind, options) in zip(query_ids, answers, shapes, strict=True)
        ]
        if not texts:
            return
        when = time.time() if answered_at is None else answered_at
        said = partial(answer_row, shown_at=shown_at, answered_at=when)
        keys = [self._scope.key(id_) for id_ in query_ids]
        names = [teacher] * len(keys) if isinstance(teacher, str) else teacher
        each = list(zip(keys, texts, names, strict=True))
        rows = [said(query_id=key, answer=text, who=who) for key, text, who in each]
        withdrawn: dict[str, list[str]] = defaultdict(list)
        for key, text, who in each:
            if text is None:
                withdrawn[who].append(key)

        def do(connection: Connection, again: bool) -> None:
            if missing := answers_missing(connection, rows) if again else rows:
                connection.execute(insert(ANSWERS), missing)
            for who, theirs in withdrawn.items():
                leases.give_back(connection, theirs, who, now=self._clock.now(connection))

        self._does.write(do)

    def record_in_turn(self, query_id: str, answer: Said, *, person: str, shown_at: float | None = None) -> None:
        """Record a person's answer if the query is theirs to answer, and they haven't answered it.

        The same answer said once more is the one that is there, as where a reply was lost. To change an answer, take
        it back: record None. So what was said under one name in two places is never replaced in silence.

        Args:
            query_id: Which query.
            answer: What is said.
            person: Who says it.
            shown_at: When the query was shown, seconds since 1970; None where nobody looked.

        Raises:
            UnknownQuery: If there is no such query.
            Taken: If another answer of theirs stands; or if others hold the query, or have answered it, as many as it
                wants: a lease had run out.
            BadInput: If the answer isn't one to a query of that kind.
        """
        [(kind, options)] = self._shapes([query_id])
        key = self._scope.key(query_id)
        text = answer_text(answer, kind=kind, options=options, query_id=query_id)
        row = answer_row(query_id=key, answer=text, who=person, shown_at=shown_at, answered_at=time.time())

        def do(connection: Connection, _: bool) -> None:
            now = self._clock.now(connection)
            if check_turn(connection, row, holders=lambda: leases.holders(connection, key, now=now)):
                connection.execute(insert(ANSWERS), [row])

        self._does.write(do)

    def add(self, preferences: Iterable[Preference]) -> int:
        """Add preferences from elsewhere, queries with their answers: all of them, or none if one is refused.

        What is there already, bit for bit, is left as it is, so that adding twice changes nothing. Nobody else writes
        meanwhile.

        Args:
            preferences: No iterator: they may have to be gone through again. A few are in memory at a time.

        Returns:
            How many answers were new.

        Raises:
            BadInput: If a query differs from one of the same id, an answer from what the same person's is here, or
                either isn't of its kind.
        """

        def do(connection: Connection, _: bool) -> int:
            check_one_to_write(connection, self._scope)
            return sum(merging.add(connection, batch, self._at_hand) for batch in batches(preferences))

        return self._does.write(do)

    def claim(
        self, person: str, *, n: int = 1, lease: float = leases.LEASE, kinds: Collection[str] | None = None
    ) -> list[Query]:
        """Reserve up to `n` open queries for a person, until the lease runs out.

        Args:
            person: For whom.
            n: How many, at least 1.
            lease: Seconds from now; ten minutes at most.
            kinds: Of which kinds: those that can be shown to them. None is all.

        Returns:
            First those that `person` holds already, whose leases begin anew, then those that have a place left: those
            to whom they are leased and those who have answered are fewer than the query wants. Of each the oldest
            first. A query to which as many people's answers stand as it wants, skips included, isn't open, nor is a
            dropped one; nor is `person` given one that they have answered.

        Raises:
            BadInput: If `n` is below 1.
        """
        if n < 1:
            raise BadInput(f"n is {n}; claim at least 1 query")
        check_text("person", person)

        def do(connection: Connection, _: bool) -> list[Query]:
            waiting, now = self._tally.open(connection), self._clock.now(connection)
            rows = leases.claim(connection, waiting, person, n=n, now=now, lease=lease, kinds=kinds)
            return list(read(connection, rows, self._at_hand).values())

        return self._does.write(do, lasting=False)

    def renew(self, query_id: str, *, lease: float = leases.LEASE) -> None:
        """Let the leases on a query begin anew, whosever they are: those who hold it can't answer it just now.

        What nobody holds any more is left as it is.

        Args:
            query_id: Which query.
            lease: Seconds from now; ten minutes at most.
        """
        key = self._scope.key(query_id)
        self._does.write(
            lambda connection, _: leases.renew(connection, key, now=self._clock.now(connection), lease=lease),
            lasting=False,
        )

    def release(self, person: str) -> None:
        """Release the queries that `person` holds and hasn't answered."""

        def do(connection: Connection, _: bool) -> None:
            leases.release(connection, person, now=self._clock.now(connection), scope=self._scope)

        self._does.write(do, lasting=False)

    def drop(self, query_ids: Iterable[str]) -> int:
        """Withdraw open queries, such as stale ones.

        Those that have all their answers are left alone, and so are those held by a person who hasn't answered: drop
        them later. Answers that are there still count, and so does one that comes all the same.

        Returns:
            How many were withdrawn.

        Raises:
            UnknownQuery: If there is no such query.
        """
        query_ids = list(query_ids)
        self._shapes(query_ids)
        keys = [self._scope.key(id_) for id_ in query_ids]
        return self._does.write(lambda connection, _: leases.drop(connection, keys, now=self._clock.now(connection)))

    def close(self) -> None:
        """Close the database; harmless if done twice."""
        self._close()

    def __enter__(self) -> PreferenceStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


def _scope(does: Transactions, run: str | StoredRun | None, place: str) -> Scope:
    """Find, or begin, the run that is to be shown."""
    if run is None:
        return Scope()
    if isinstance(run, StoredRun):
        return Scope(does.write(lambda connection, _: begin_run(connection, run)).number)
    return Scope(does.read(lambda connection: find_run(connection, run, place)).number)
