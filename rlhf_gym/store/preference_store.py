"""The preference store: where trainer, prompts and pages meet."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, final

from sqlalchemy import Connection, Row, Select, func, insert, select
from sqlalchemy.exc import IntegrityError

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import answer_text
from rlhf_gym.preferences import Preference, Query, Said
from rlhf_gym.store import leases, merging
from rlhf_gym.store.answers import (
    AnswerSince,
    Counts,
    GivenAnswer,
    UnknownQuery,
    given,
    number_of_options,
    stands,
)
from rlhf_gym.store.database import in_memory, open_database, place
from rlhf_gym.store.patience import PATIENCE
from rlhf_gym.store.queries import AtHand, in_parts, keep_at_hand, read, were_written, write, written
from rlhf_gym.store.recording import answers_missing, check_turn
from rlhf_gym.store.rows import answer_row, check_text, row_to_answer_since, row_to_given_answer, row_to_preference
from rlhf_gym.store.schema import ANSWERS, QUERIES
from rlhf_gym.store.tally import OfPerson, Tally
from rlhf_gym.store.trainer_lock import TrainerLock
from rlhf_gym.store.transactions import Transactions

Item = TypeVar("Item")


@final
class PreferenceStore:
    """Queries and their answers in a database: the trainer posts, people answer, the trainer reads.

    Nothing is ever overwritten. Every answer is a row of its own, and a person's last answer to a query is the current
    one: an answer that is sent twice counts once. A query is for one person unless posted for more. If a lease expires
    and a second person answers too, both answers are kept and both count as labels. A method's writes are committed
    when it returns, and safe from a power cut (but for leases).

    A segment is stored once, in however many queries it appears. A query object that is still referenced is returned
    again without reading the database: only new queries cost time.

    A database that is locked, full, or on a server that is started anew is waited for; a word on stderr says so.

    Args:
        url: Database URL as SQLAlchemy reads it, or the path of an SQLite file; made if it isn't there. The default
            lives in memory and is gone with the store.
        lasting: Have a write return only when it is safe from a power cut, which takes some 4 ms on a disk. False is
            for teachers who can be asked again: what was written then survives the end of the process alone.
        patience: Seconds for which a database that can't be used is waited for.

    Raises:
        BadInput: If the database can't be opened, belongs to something else, or is of another version; and later
            from any method, if its file turns out to be damaged, or it couldn't be used for too long.
        ImportError: If the URL's driver isn't installed.
    """

    def __init__(self, url: str | Path = "sqlite://", *, lasting: bool = True, patience: float = PATIENCE) -> None:
        self._engine = open_database(url, patience=patience)
        self._does = Transactions(self._engine, lasting=lasting, patience=patience)
        self._at_hand, self._tally, self._clock = AtHand(), Tally(), leases.Clock()
        self._close = weakref.finalize(self, self._does.close)  # a store that is dropped closes itself

    @property
    def place(self) -> str:
        """Path of the file, or URL without its password."""
        return place(self._engine)

    @property
    def in_memory(self) -> bool:
        """Whether nobody but this object can reach it."""
        return in_memory(self._engine)

    def beside(self, name: str) -> Path | None:
        """Name a file in the folder of the store's own; None where that is in memory or on a server."""
        return None if self.in_memory or "://" in self.place else Path(self.place).with_name(name)

    def train_alone(self) -> None:
        """Keep other trainers out until the store is closed, or this process ends in any way; harmless if done twice.

        Raises:
            BadInput: If another trainer has it, whichever machine it is on.
        """
        self._does.trainer = self._does.trainer or TrainerLock(self._engine)

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
        posted = [written(query, texts) for query in queries]
        if not posted:
            return
        now = time.time()

        def do(connection: Connection, again: bool) -> None:
            if not (again and were_written(connection, posted, now)):
                write(connection, posted, [{"people": people, "posted_at": now}] * len(posted), self._at_hand)

        try:
            self._does.write(do)
            keep_at_hand(posted, self._at_hand)
        except IntegrityError as error:
            ids = [query.id for query in queries]
            twice = sorted(self._known(ids) or {id_ for id_ in ids if ids.count(id_) > 1})
            if not twice:
                raise
            raise BadInput(
                f"query {twice[0]!r} was posted before; a query is posted once: give each new one an id of its own"
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
        teacher: str,
        shown_at: float | None = None,
        answered_at: float | None = None,
    ) -> None:
        """:meth:`record` for N queries at once: all of them, or none if one is refused."""
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
        said = partial(answer_row, who=teacher, shown_at=shown_at, answered_at=when)
        rows = [said(query_id=id_, answer=text) for id_, text in zip(query_ids, texts, strict=True)]
        withdrawn = [id_ for id_, text in zip(query_ids, texts, strict=True) if text is None]

        def do(connection: Connection, again: bool) -> None:
            if missing := answers_missing(connection, rows) if again else rows:
                connection.execute(insert(ANSWERS), missing)
            if withdrawn:
                leases.give_back(connection, withdrawn, teacher, now=self._clock.now(connection))

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
        text = answer_text(answer, kind=kind, options=options, query_id=query_id)
        row = answer_row(query_id=query_id, answer=text, who=person, shown_at=shown_at, answered_at=time.time())

        def do(connection: Connection, _: bool) -> None:
            now = self._clock.now(connection)
            if check_turn(connection, row, holders=lambda: leases.holders(connection, query_id, now=now)):
                connection.execute(insert(ANSWERS), [row])

        self._does.write(do)

    def add(self, preferences: Sequence[Preference]) -> int:
        """Add preferences from elsewhere, queries with their answers: all of them, or none if one is refused.

        What is there already, bit for bit, is left as it is, so that adding twice changes nothing.

        Returns:
            How many answers were new.

        Raises:
            BadInput: If a query differs from one of the same id, an answer from what the same person's is here, or
                either isn't of its kind.
        """
        queries = [written(preference.query) for preference in preferences]
        new, answers = self._does.write(
            lambda connection, _: merging.add(connection, queries, preferences, self._at_hand)
        )
        keep_at_hand(new, self._at_hand)
        return answers

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
            return read(connection, rows, self._at_hand)

        return self._does.write(do, lasting=False)

    def release(self, person: str) -> None:
        """Release the queries that `person` holds and hasn't answered."""
        self._does.write(
            lambda connection, _: leases.release(connection, person, now=self._clock.now(connection)), lasting=False
        )

    def holders(self, query_id: str) -> set[str]:
        """List the people with a lease on a query, answered or not."""
        return self._does.read(lambda connection: leases.holders(connection, query_id, now=self._clock.now(connection)))

    def wanted(self, query_id: str) -> int:
        """Get the number of people whose answers a query needs.

        Raises:
            UnknownQuery: If there is no such query.
        """
        people = self._rows(select(QUERIES.c.people).where(QUERIES.c.id == query_id), lambda row: int(row.people))
        if not people:
            raise _never_posted(query_id)
        return people[0]

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
        self._check_known(query_ids)
        return self._does.write(
            lambda connection, _: leases.drop(connection, query_ids, now=self._clock.now(connection))
        )

    def query(self, query_id: str) -> Query:
        """Look a query up by its id.

        Raises:
            UnknownQuery: If there is none.
        """
        [query] = self.queries([query_id])
        return query

    def queries(self, ids: Sequence[str]) -> list[Query]:
        """Look queries up by their ids, in one read, in the order of the ids.

        Raises:
            UnknownQuery: If there is none of an id.
        """
        for id_ in ids:
            check_text("query", id_)
        found = self._does.read(partial(self._queries, ids=list(dict.fromkeys(ids))))
        if unknown := sorted(set(ids) - found.keys()):
            raise _never_posted(unknown[0])
        return [found[id_] for id_ in ids]

    def pending(self, limit: int | None = None) -> list[Query]:
        """List the oldest open queries, leased or not, in order of posting; at most `limit` of them."""

        def do(connection: Connection) -> list[Query]:
            ids = self._tally.open(connection, limit)
            found = self._queries(connection, ids)
            return [found[id_] for id_ in ids]

        return self._does.read(do)

    def open_ids(self, limit: int | None = None) -> list[str]:
        """List the ids of the queries of :meth:`pending`."""
        return self._does.read(lambda connection: self._tally.open(connection, limit))

    def preferences(self) -> list[Preference]:
        """List every current answer, SKIP included, with its query, in order of answering."""
        return self._preferences(_PREFERENCES.order_by(ANSWERS.c.number))

    def answers_since(self, number: int = 0) -> list[AnswerSince]:
        """List the answers after the one of this number, withdrawals included, in order; 0 lists all.

        It costs what is new, for it holds no segments: look those up that you don't know with :meth:`queries`.
        """
        return self._rows(_GIVEN.where(ANSWERS.c.number > number), row_to_answer_since)

    def last_answered(self, person: str, *, kinds: Collection[str] | None = None) -> Preference | None:
        """Find `person`'s last current answer; None if there is none. To undo it, record None for its query.

        Args:
            person: Who.
            kinds: Answers to queries of these kinds alone; None is all.
        """
        last = _PREFERENCES.where(ANSWERS.c.who == person).order_by(ANSWERS.c.number.desc()).limit(1)
        return next(iter(self._preferences(last if kinds is None else last.where(QUERIES.c.kind.in_(kinds)))), None)

    def standing(self, query_id: str) -> dict[str, Said]:
        """Look up the current answers to one query, by person."""
        there = self._rows(_GIVEN.where(ANSWERS.c.query_id == query_id, stands()), row_to_answer_since)
        return {said.person: said.answer for said in there if said.answer is not None}

    def history(self, person: str | None = None) -> list[GivenAnswer]:
        """List every answer ever given, by `person` or by anybody, withdrawals included, in order of answering."""
        said = _GIVEN if person is None else _GIVEN.where(ANSWERS.c.who == person)
        return self._rows(said, row_to_given_answer)

    def number_asked(self) -> int:
        """Count the queries, as :attr:`Counts.asked` does, and nothing else, which takes no time."""
        [asked] = self._rows(select(func.count()).select_from(QUERIES), lambda row: int(row[0]))
        return asked

    def counts(self, kinds: Collection[str] | None = None) -> Counts:
        """Count queries asked, their answers, and the answers still awaited.

        Args:
            kinds: Count queries of these kinds alone; None is all.
        """
        return self._does.read(lambda connection: self._tally.counts(connection, kinds))

    def counts_of(self, person: str) -> OfPerson:
        """Count the labels of one person, and the seconds that they take."""
        return self._does.read(lambda connection: self._tally.of(connection, person))

    def close(self) -> None:
        """Close the database; harmless if done twice."""
        self._close()

    def __enter__(self) -> PreferenceStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _rows(self, statement: Select[Any], make: Callable[[Row[Any]], Item]) -> list[Item]:
        return self._does.read(lambda connection: [make(row) for row in connection.execute(statement)])

    def _preferences(self, statement: Select[Any]) -> list[Preference]:
        def do(connection: Connection) -> list[Preference]:
            rows = connection.execute(statement).all()
            queries = {query.id: query for query in read(connection, rows, self._at_hand)}
            return [row_to_preference(row, queries[row.id]) for row in rows]

        return self._does.read(do)

    def _queries(self, connection: Connection, ids: Sequence[str]) -> dict[str, Query]:
        rows = in_parts(connection, select(QUERIES), QUERIES.c.id, ids)
        return {query.id: query for query in read(connection, rows, self._at_hand)}

    def _shapes(self, ids: Sequence[str]) -> list[tuple[str, int]]:
        """Look up the kind of each query, and its number of options."""
        known = {id_: query for id_ in ids if (query := self._at_hand.queries.get(id_)) is not None}
        shapes = {id_: (query.kind, len(query.options)) for id_, query in known.items()}
        asked = select(QUERIES.c.id, QUERIES.c.kind, number_of_options().label("options"))
        if new := [id_ for id_ in dict.fromkeys(ids) if id_ not in shapes]:
            for id_ in new:
                check_text("query", id_)
            rows = self._does.read(lambda connection: list(in_parts(connection, asked, QUERIES.c.id, new)))
            shapes |= {row.id: (row.kind, row.options) for row in rows}
        if unknown := sorted(set(ids) - shapes.keys()):
            raise UnknownQuery(f"query {unknown[0]!r} is not in the store; post it before it is answered")
        return [shapes[id_] for id_ in ids]

    def _known(self, ids: Sequence[str]) -> set[str]:
        known = select(QUERIES.c.id)
        return self._does.read(lambda connection: {row.id for row in in_parts(connection, known, QUERIES.c.id, ids)})

    def _check_known(self, ids: Sequence[str]) -> None:
        if unknown := sorted(set(ids) - self._known(ids)):
            raise _never_posted(unknown[0])


def _never_posted(query_id: str) -> UnknownQuery:
    return UnknownQuery(f"query {query_id!r} is not in the store; use the id of one that was posted")


# Made once: to put one together takes longer than to execute it.
_GIVEN = given()
_PREFERENCES = (
    select(QUERIES, *(ANSWERS.c[name] for name in ("answer", "who", "shown_at", "answered_at")))
    .join(ANSWERS, ANSWERS.c.query_id == QUERIES.c.id)
    .where(stands())
)
