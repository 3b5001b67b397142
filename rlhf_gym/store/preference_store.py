"""The preference store, shared by trainer, prompts and pages."""

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
    one: an answer that is sent twice counts once. A query needs one person's answer unless posted for more. If a lease
    expires and a second person answers too, both answers are kept and both count as labels. A method's writes are
    committed when it returns, and safe from a power cut (except leases).

    A segment is stored once, however many queries contain it. A query object that is still referenced is returned
    again without reading the database: only new queries cost time.

    While the database is locked, full, or on a server that restarts, methods wait for it and warn on stderr.

    A database may hold several runs, each with a budget of its own. Opened for one of them, the store shows that one
    alone. Opened for none, it shows all, and a person is given the query of any run that has waited longest.

    Args:
        url: Database URL as SQLAlchemy reads it, or the path of an SQLite file; created if missing. The default is
            in memory and lost with the store.
        lasting: Whether a write returns only when it is safe from a power cut, which takes some 4 ms on a disk. False
            is for teachers who can be asked again: writes then survive the end of the process, but no power cut.
        patience: Seconds to wait for a database that can't be used.
        run: Name of the run to show; or the run itself, which is added if the database lacks it. None shows every run,
            under ids that tell them apart; then nothing can be posted unless there is only one.

    Raises:
        BadInput: If the database can't be opened, belongs to something else, is of an unknown version, or has no such
            run; and later from any method, if the file is damaged, or the database can't be used for too long.
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
        """Whether the database is in memory, where only this object can reach it."""
        return in_memory(self._engine)

    def beside(self, name: str) -> Path | None:
        """Return the path for a file of the run beside the store's; None if the store is in memory or on a server."""
        if self.in_memory or "://" in self.place:
            return None
        return Path(self.place).with_name(name if self._scope.number in (None, 1) else f"{self._scope.number}-{name}")

    def train_alone(self) -> None:
        """Keep other trainers of the run out until the store is closed, or this process ends in any way.

        Harmless if done twice.

        Raises:
            BadInput: If another trainer has the run, on any machine.
        """
        self._does.trainer = self._does.trainer or TrainerLock(self._engine, run=self._scope.number or 1)

    def describe(self, run: StoredRun) -> None:
        """Update what people are shown of a run: its budget, instructions, levels, and how clips are drawn.

        Args:
            run: Identified by its name.
        """
        self._does.write(lambda connection, _: describe_run(connection, run))

    def of_run(self, name: str) -> PreferenceStore:
        """Open another store on the same database that shows one of its runs.

        Raises:
            BadInput: If there is no such run.
        """
        return PreferenceStore(self._url, patience=self._patience, run=name)

    def post(self, queries: Sequence[Query], *, people: int = 1) -> None:
        """Post queries to be answered: all of them, or none if one is refused.

        Args:
            queries: Queries with new ids.
            people: Number of people to answer each, at least 1.

        Raises:
            BadInput: If an id is in the store already or occurs twice, if a query doesn't fit its kind, if a segment
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
            query_id: Id of the query.
            answer: The answer; None withdraws `teacher`'s earlier one, and leases the query to them again unless others
                have taken it.
            teacher: Name of the person or teacher.
            shown_at: When the query was shown, seconds since 1970; None if nobody saw it.
            answered_at: When it was answered, likewise; None is now.

        Raises:
            UnknownQuery: If there is no such query.
            BadInput: If the answer doesn't fit the query's kind.
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
        """Record answers to N queries, as :meth:`record` does: all of them, or none if one is refused.

        `teacher` is one name for all of them, or a name for each.
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
                leases.reserve(connection, theirs, who, now=self._clock.now(connection))

        self._does.write(do)

    def record_in_turn(self, query_id: str, answer: Said, *, person: str, shown_at: float | None = None) -> None:
        """Record a person's answer, unless they have given another one, or others have taken the query.

        Repeating the same answer changes nothing, as after a lost reply. To change an answer, withdraw it first by
        recording None: so answers under one name from two places never replace each other silently.

        Args:
            query_id: Id of the query.
            answer: The answer.
            person: Name of the person.
            shown_at: When the query was shown, seconds since 1970; None if nobody saw it.

        Raises:
            UnknownQuery: If there is no such query.
            Taken: If the person's current answer is another one; or if as many others as the query needs hold it or
                have answered it, after the person's lease ran out.
            BadInput: If the answer doesn't fit the query's kind.
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

        Those that are stored already, bit for bit, are left as they are, also where they were taken back since, so that
        adding twice changes nothing. Other writers wait meanwhile.

        Args:
            preferences: Not an iterator, as a retry reads them again; read in batches.

        Returns:
            Number of new answers.

        Raises:
            BadInput: If a query differs from the stored one of the same id, an answer from the same person's stored
                one, or either doesn't fit its kind.
        """

        def do(connection: Connection, _: bool) -> int:
            check_one_to_write(connection, self._scope)
            return sum(merging.add(connection, batch, self._at_hand) for batch in batches(preferences))

        return self._does.write(do)

    def claim(
        self,
        person: str,
        *,
        n: int = 1,
        lease: float = leases.LEASE,
        ahead: int = 0,
        last: Iterable[str] = (),
        kinds: Collection[str] | None = None,
    ) -> list[Query]:
        """Reserve up to `n` open queries for a person, until the lease runs out.

        Args:
            person: Name of the person.
            n: Most queries to reserve, at least 1.
            lease: Seconds from now; ten minutes at most.
            ahead: Most queries to return besides, those that would come next. They aren't reserved.
            last: Ids of queries to choose only if there are no others.
            kinds: Kinds that can be shown to the person; None is all.

        Returns:
            First the queries that `person` holds already, whose leases are renewed, then those with a place left:
            fewer people hold or have answered them than they need. Each part has the oldest first. Left out are dropped
            queries, queries with all the answers that they need, skips included, and those that `person` has answered.

        Raises:
            BadInput: If `n` is below 1.
        """
        if n < 1:
            raise BadInput(f"n is {n}; claim at least 1 query")
        check_text("person", person)
        late = {self._scope.key(id_) for id_ in last}

        def do(connection: Connection, _: bool) -> list[Query]:
            self._clock.follow(connection)
            waiting, now = self._tally.open(connection), self._clock.now(connection)
            rows = leases.claim(
                connection, waiting, person, n=n, now=now, lease=lease, ahead=ahead, last=late, kinds=kinds
            )
            return list(read(connection, rows, self._at_hand).values())

        return self._does.write(do, lasting=False)

    def renew(self, query_id: str, *, lease: float = leases.LEASE) -> None:
        """Renew everybody's leases on a query, as when they can't answer it yet.

        Leases that have run out are left as they are.

        Args:
            query_id: Id of the query.
            lease: Seconds from now; ten minutes at most.
        """
        key = self._scope.key(query_id)
        self._does.write(
            lambda connection, _: leases.renew(connection, key, now=self._clock.now(connection), lease=lease),
            lasting=False,
        )

    def reserve(self, query_id: str, person: str, *, lease: float = leases.LEASE) -> bool:
        """Reserve a query for a person who is looking at it, or renew their lease.

        Args:
            query_id: Id of the query.
            person: Name of the person.
            lease: Seconds from now; ten minutes at most.

        Returns:
            False if others hold it or have answered it, as many as it needs.

        Raises:
            UnknownQuery: If there is no such query.
        """
        self._shapes([query_id])
        check_text("person", person)
        key = self._scope.key(query_id)

        def do(connection: Connection, _: bool) -> bool:
            self._clock.follow(connection)
            return bool(leases.reserve(connection, [key], person, now=self._clock.now(connection), lease=lease))

        return self._does.write(do, lasting=False)

    def release(self, person: str) -> None:
        """End all leases of `person`."""

        def do(connection: Connection, _: bool) -> None:
            leases.release(connection, person, now=self._clock.now(connection), scope=self._scope)

        self._does.write(do, lasting=False)

    def drop(self, query_ids: Iterable[str]) -> int:
        """Withdraw open queries, such as stale ones.

        Those that have all their answers are left alone, and so are those held by a person who hasn't answered: drop
        them later. Answers given before still count, and so does one that still arrives.

        Returns:
            Number of queries withdrawn.

        Raises:
            UnknownQuery: If an id is unknown.
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
    """Find or add the run to show."""
    if run is None:
        return Scope()
    if isinstance(run, StoredRun):
        return Scope(does.write(lambda connection, _: begin_run(connection, run)).number)
    return Scope(does.read(lambda connection: find_run(connection, run, place)).number)
