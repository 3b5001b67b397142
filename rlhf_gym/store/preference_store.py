"""The preference store: where trainer, prompts and pages meet."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, final

from sqlalchemy import Connection, Row, Select, insert, select
from sqlalchemy.exc import IntegrityError

from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.store import leases, merging
from rlhf_gym.store.answers import TALLY, Counts, GivenAnswer, UnknownQuery, is_open, stands
from rlhf_gym.store.database import damage_explained, open_database, place, writing_alone
from rlhf_gym.store.rows import query_to_row, row_to_given_answer, row_to_preference, row_to_query
from rlhf_gym.store.schema import ANSWERS, QUERIES

Item = TypeVar("Item")


@final
class PreferenceStore:
    """Queries and their answers in a database: the trainer posts, whoever is there answers, the trainer reads.

    Nothing is ever overwritten. Every answer is a row of its own, and what a person said last about a query is what
    counts: an answer that is sent twice counts once. A query is for one person unless posted for more. More people than
    it is for may still answer it, as happens when one is thinking while the lease runs out and the query goes to
    another: all their answers stand, and count as so many labels. Whatever a method has written is committed when it
    returns, and safe from a power cut (but for leases).

    Args:
        url: Database URL as SQLAlchemy reads it, or the path of an SQLite file; made if it isn't there. The default
            lives in memory and is gone with the store.
        lasting: Have a write return only when it is safe from a power cut, which takes some 4 ms on a disk. False is
            for teachers who can be asked again: what was written then survives the end of the process alone.

    Raises:
        ValueError: If the database can't be opened, belongs to something else, or is of another version; and later
            from any method, if its file turns out to be damaged.
        ImportError: If the URL's driver isn't installed.
    """

    def __init__(self, url: str | Path = "sqlite://", *, lasting: bool = True) -> None:
        self._engine, self._lasting = open_database(url), lasting
        self._close = weakref.finalize(self, self._engine.dispose)  # a store that is dropped closes itself

    @property
    def place(self) -> str:
        """Path of the file, or URL without its password."""
        return place(self._engine)

    def post(self, queries: Sequence[Query], *, people: int = 1) -> None:
        """Put queries up for answering: all of them, or none if one is refused.

        Args:
            queries: To be answered.
            people: How many people are to answer each, at least 1.

        Raises:
            ValueError: If a query's id is in the store already or comes twice, if a segment can't be written, or if
                `people` is below 1.
        """
        if people < 1:
            raise ValueError(f"people is {people}; ask at least 1 for each query")
        now = time.time()
        rows = [{**query_to_row(query), "people": people, "posted_at": now} for query in queries]
        if not rows:
            return
        try:
            with self._writing() as connection:
                connection.execute(insert(QUERIES), rows)
        except IntegrityError as error:
            ids = [query.id for query in queries]
            twice = sorted(self._known(ids) or {id_ for id_ in ids if ids.count(id_) > 1})
            if not twice:
                raise
            raise ValueError(
                f"query {twice[0]!r} was posted before; a query is posted once: give each new one an id of its own"
            ) from error

    def record(
        self,
        query_id: str,
        answer: Answer | None,
        *,
        teacher: str,
        shown_at: float | None = None,
        answered_at: float | None = None,
    ) -> None:
        """Write down what somebody said to a query, whether or not it is leased to them, or was dropped meanwhile.

        Args:
            query_id: Which query.
            answer: What was said; None withdraws what `teacher` said before, and leases the query to them again unless
                others have it by now.
            teacher: Who said it.
            shown_at: When the query was shown, seconds since 1970; None where nobody looked.
            answered_at: When the answer came, likewise; None is now.

        Raises:
            UnknownQuery: If there is no such query.
        """
        self.record_all([query_id], [answer], teacher=teacher, shown_at=shown_at, answered_at=answered_at)

    def record_all(
        self,
        query_ids: Sequence[str],
        answers: Sequence[Answer | None],
        *,
        teacher: str,
        shown_at: float | None = None,
        answered_at: float | None = None,
    ) -> None:
        """:meth:`record` for N queries at once: all of them, or none if one is refused."""
        if len(query_ids) != len(answers):
            raise ValueError(f"got {len(answers)} answers to {len(query_ids)} queries; expected one answer to each")
        withdrawn = [query_id for query_id, answer in zip(query_ids, answers, strict=True) if answer is None]
        said = {
            "who": teacher,
            "shown_at": shown_at,
            "answered_at": time.time() if answered_at is None else answered_at,
        }
        rows = [
            {"query_id": query_id, "answer": None if answer is None else Answer(answer).value, **said}
            for query_id, answer in zip(query_ids, answers, strict=True)
        ]
        if not rows:
            return
        try:
            with self._writing() as connection:
                connection.execute(insert(ANSWERS), rows)
                leases.give_back(connection, withdrawn, teacher)
        except IntegrityError as error:
            unknown = sorted(set(query_ids) - self._known(query_ids))
            if not unknown:
                raise
            raise UnknownQuery(f"query {unknown[0]!r} is not in the store; post it before it is answered") from error

    def add(self, preferences: Sequence[Preference]) -> int:
        """Take preferences over from elsewhere, queries with their answers: all of them, or none if one is refused.

        What is there already, bit for bit, is left as it is, so that adding twice changes nothing.

        Returns:
            How many answers were new.

        Raises:
            ValueError: If a query differs from one of the same id, or an answer from what the same person's is here.
        """
        with self._writing() as connection:
            return merging.add(connection, preferences)

    def claim(self, who: str, *, n: int = 1, lease: float = leases.LEASE) -> list[Query]:
        """Up to `n` open queries, reserved for somebody: nobody takes their place there until the lease runs out.

        Args:
            who: For whom.
            n: How many, at least 1.
            lease: Seconds from now.

        Returns:
            First those that `who` holds already, whose leases begin anew, then those that have a place left: those to
            whom they are leased and those who have answered are fewer than the query wants. Of each the oldest first.
            A query to which as many people's answers stand as it wants, skips included, isn't open, nor is a dropped
            one; nor is `who` given one that they have answered.

        Raises:
            ValueError: If `n` is below 1.
        """
        if n < 1:
            raise ValueError(f"n is {n}; claim at least 1 query")
        with self._writing(lasting=False) as connection:
            return [row_to_query(row) for row in leases.claim(connection, who, n=n, lease=lease)]

    def release(self, who: str) -> None:
        """Give back what `who` holds and hasn't answered."""
        with self._writing(lasting=False) as connection:
            leases.release(connection, who)

    def holders(self, query_id: str) -> set[str]:
        """Who holds a query, answered or not: those whose lease on it lasts."""
        with damage_explained(self._engine), self._engine.connect() as connection:
            return leases.holders(connection, query_id)

    def wanted(self, query_id: str) -> int:
        """How many people's answers a query wants in all.

        Raises:
            UnknownQuery: If there is no such query.
        """
        return self._one(query_id, select(QUERIES.c.people), lambda row: int(row.people))

    def drop(self, query_ids: Iterable[str]) -> int:
        """Withdraw open queries, such as stale ones.

        Those that have all their answers are left alone, and so are those that somebody holds who hasn't answered: drop
        them later. Answers that are there still count, and so does one that comes all the same.

        Returns:
            How many were withdrawn.

        Raises:
            UnknownQuery: If there is no such query.
        """
        query_ids = list(query_ids)
        self._check_known(query_ids)
        with self._writing() as connection:
            return leases.drop(connection, query_ids)

    def query(self, query_id: str) -> Query:
        """The query of that id.

        Raises:
            UnknownQuery: If there is none.
        """
        return self._one(query_id, select(QUERIES), row_to_query)

    def pending(self, limit: int | None = None) -> list[Query]:
        """The oldest open queries, leased or not, in order of posting; at most `limit` of them."""
        return self._read(select(QUERIES).where(is_open()).order_by(QUERIES.c.number).limit(limit), row_to_query)

    def preferences(self) -> list[Preference]:
        """Every answer that stands, SKIP included, with its query, in order of answering."""
        return self._read(_preferences().order_by(ANSWERS.c.number), row_to_preference)

    def last_answered(self, who: str) -> Preference | None:
        """What `who` answered last of all that stands; None if nothing does. To undo it, record None for its query."""
        last = _preferences().where(ANSWERS.c.who == who).order_by(ANSWERS.c.number.desc()).limit(1)
        return next(iter(self._read(last, row_to_preference)), None)

    def standing(self, query_id: str) -> dict[str, Answer]:
        """The answers to one query that stand, by who gave them."""
        given = select(ANSWERS.c.who, ANSWERS.c.answer).where(ANSWERS.c.query_id == query_id, stands())
        return {who: Answer(answer) for who, answer in self._read(given.order_by(ANSWERS.c.number), tuple)}

    def history(self, who: str | None = None) -> list[GivenAnswer]:
        """Every answer ever given, by `who` or by anybody, withdrawals included, in order of answering."""
        given = select(ANSWERS) if who is None else select(ANSWERS).where(ANSWERS.c.who == who)
        return self._read(given.order_by(ANSWERS.c.number), row_to_given_answer)

    def counts(self) -> Counts:
        """How many queries were asked, how they were answered, and what is still waited for."""
        [counts] = self._read(TALLY, lambda row: Counts(**{name: int(n) for name, n in row._asdict().items()}))
        return counts

    def close(self) -> None:
        """Let go of the database; harmless if done twice."""
        self._close()

    def __enter__(self) -> PreferenceStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _writing(self, *, lasting: bool = True) -> Iterator[Connection]:
        with (
            damage_explained(self._engine),
            writing_alone(self._engine, lasting=lasting and self._lasting) as connection,
        ):
            yield connection

    def _read(self, statement: Select[Any], make: Callable[[Row[Any]], Item]) -> list[Item]:
        with damage_explained(self._engine), self._engine.connect() as connection:
            return [make(row) for row in connection.execute(statement)]

    def _one(self, query_id: str, statement: Select[Any], make: Callable[[Row[Any]], Item]) -> Item:
        """What a statement on queries gives for one of them."""
        found = self._read(statement.where(QUERIES.c.id == query_id), make)
        if not found:
            raise _never_posted(query_id)
        return found[0]

    def _known(self, ids: Sequence[str]) -> set[str]:
        return set(self._read(select(QUERIES.c.id).where(QUERIES.c.id.in_(ids)), lambda row: row.id))

    def _check_known(self, ids: Sequence[str]) -> None:
        if unknown := sorted(set(ids) - self._known(ids)):
            raise _never_posted(unknown[0])


def _never_posted(query_id: str) -> UnknownQuery:
    return UnknownQuery(f"query {query_id!r} is not in the store; use the id of one that was posted")


def _preferences() -> Select[Any]:
    """Answers that stand, each with its query."""
    answer = [ANSWERS.c[name] for name in ("answer", "who", "shown_at", "answered_at")]
    return select(QUERIES, *answer).join(ANSWERS, ANSWERS.c.query_id == QUERIES.c.id).where(stands())
