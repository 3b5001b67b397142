"""Reading of the preference store: queries, answers and their counts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Row, Select, func, select

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Preference, Query, Said
from rlhf_gym.store import leases
from rlhf_gym.store.answers import AnswerSince, Counts, GivenAnswer, UnknownQuery, given, number_of_options, stands
from rlhf_gym.store.batches import AT_ONCE
from rlhf_gym.store.database import place
from rlhf_gym.store.queries import AtHand, in_parts, read
from rlhf_gym.store.rows import check_text, row_to_answer_since, row_to_given_answer, row_to_preference
from rlhf_gym.store.runs import Scope, StoredRun, find_asking, find_runs, listed
from rlhf_gym.store.schema import ANSWERS, QUERIES
from rlhf_gym.store.tally import OfPerson, Tally
from rlhf_gym.store.transactions import Transactions

Item = TypeVar("Item")


class Reading:
    """The methods that read a preference store; each read sees a single moment.

    Args:
        engine: From :func:`rlhf_gym.store.database.open_database`.
        does: Its transactions.
        scope: The run, or all runs, to show.
    """

    def __init__(self, engine: Engine, does: Transactions, scope: Scope) -> None:
        self._engine, self._does, self._scope = engine, does, scope
        self._at_hand, self._tally, self._clock = AtHand(scope), Tally(scope), leases.Clock()
        self._tallies: dict[int, Tally] = {}
        self._given, self._standing = map(scope.only_in_order, (_GIVEN, _PREFERENCES))
        self._count = scope.only(_COUNT)

    @property
    def place(self) -> str:
        """Path of the file, or URL without its password."""
        return place(self._engine)

    def runs(self) -> list[StoredRun]:
        """List the runs shown here that have posted queries, the oldest first; at least one."""
        return self._does.read(lambda connection: find_asking(connection, self._scope))

    @property
    def shows_every_run(self) -> bool:
        """Whether the store was opened without naming a run."""
        return self._scope.number is None

    def counts_by_run(self) -> list[tuple[StoredRun, Counts]]:
        """Count as :meth:`counts` does, for each of :meth:`runs`."""

        def do(connection: Connection) -> list[tuple[StoredRun, Counts]]:
            return [(run, self._tally_of(run).counts(connection)) for run in find_asking(connection, self._scope)]

        return self._does.read(do)

    def run_of(self, query_id: str) -> StoredRun:
        """Find the run that asked a query.

        Raises:
            UnknownQuery: If there is no such query.
        """
        asked = self._scope.only(select(QUERIES.c.run).where(QUERIES.c.id == self._scope.key(query_id)))

        def do(connection: Connection) -> StoredRun:
            number = connection.scalar(asked)
            if number is None:
                raise _never_posted(query_id)
            return next(run for run in find_runs(connection) if run.number == number)

        return self._does.read(do)

    def check_one_run(self) -> None:
        """Refuse to read the answers of several runs as those of one.

        Raises:
            BadInput: If there are several runs, and none was named when the store was opened.
        """
        if len(runs := self.runs()) > 1:
            raise BadInput(
                f"preference store {self.place} has {len(runs)} runs, and none is named; name one of "
                f"{listed(runs)}: by --run, or its run directory"
            )

    def holders(self, query_id: str) -> set[str]:
        """List the people with a lease on a query, answered or not."""
        key = self._scope.key(query_id)
        return self._does.read(lambda connection: leases.holders(connection, key, now=self._clock.now(connection)))

    def wanted(self, query_id: str) -> int:
        """Get the number of people whose answers a query needs.

        Raises:
            UnknownQuery: If there is no such query.
        """
        asked = self._scope.only(select(QUERIES.c.people).where(QUERIES.c.id == self._scope.key(query_id)))
        people = self._rows(asked, lambda row: int(row.people))
        if not people:
            raise _never_posted(query_id)
        return people[0]

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
            UnknownQuery: If an id is unknown.
        """
        for id_ in ids:
            check_text("query", id_)
        keys = [self._scope.key(id_) for id_ in ids]
        found = self._does.read(partial(self._queries, keys=list(dict.fromkeys(keys))))
        if unknown := sorted(set(keys) - found.keys()):
            raise _never_posted(self._scope.id(unknown[0]))
        return [found[key] for key in keys]

    def pending(self, limit: int | None = None) -> list[Query]:
        """List the oldest open queries, leased or not, in order of posting; at most `limit` of them."""

        def do(connection: Connection) -> list[Query]:
            keys = self._tally.open(connection, limit)
            found = self._queries(connection, keys)
            return [found[key] for key in keys]

        return self._does.read(do)

    def open_ids(self, limit: int | None = None) -> list[str]:
        """List the ids of the queries of :meth:`pending`."""
        return [self._scope.id(key) for key in self._does.read(lambda c: self._tally.open(c, limit))]

    def preferences(self) -> list[Preference]:
        """List every current answer, SKIP included, with its query, in order of answering."""
        return self._preferences(self._standing.order_by(ANSWERS.c.number))

    def each_preference(self, at_once: int = AT_ONCE) -> Iterator[Preference]:
        """Iterate over :meth:`preferences` with at most `at_once` of them in memory.

        Answers given meanwhile are left out; answers withdrawn meanwhile may be included.
        """
        [end] = self._rows(select(func.max(ANSWERS.c.number)), lambda row: row[0] or 0)
        part, number = self._standing.order_by(ANSWERS.c.number).limit(at_once), 0

        def after(connection: Connection) -> tuple[int, list[Preference]]:
            statement = part.where(ANSWERS.c.number > number, ANSWERS.c.number <= end)
            rows = connection.execute(statement).all()
            return (rows[-1].said if rows else end), self._made(connection, rows)

        while number < end:
            number, found = self._does.read(after)
            yield from found

    def answers_since(self, number: int = 0, *, until: int | None = None) -> list[AnswerSince]:
        """List the answers after answer `number`, withdrawals included, in order; 0 lists all.

        Only new answers cost time, as they hold no segments: look up unknown queries with :meth:`queries`.

        Args:
            number: Number of the last answer to leave out.
            until: Number of the last answer to list; None is the newest.
        """
        given = self._given.where(ANSWERS.c.number > number)
        return self._rows(given if until is None else given.where(ANSWERS.c.number <= until), self._answer_since)

    def last_answered(self, person: str, *, kinds: Collection[str] | None = None) -> Preference | None:
        """Find `person`'s last current answer; None if there is none. To undo it, record None for its query.

        Args:
            person: Name of the person.
            kinds: Kinds of query to consider; None is all.
        """
        return next(iter(self._preferences(self._last_of(person, kinds).limit(1))), None)

    def lately_answered(self, person: str, *, most: int, kinds: Collection[str] | None = None) -> list[str]:
        """List the ids of the queries of `person`'s last current answers, the latest last.

        Args:
            person: Name of the person.
            most: Most ids to list.
            kinds: Kinds of query to consider; None is all.
        """
        ids = self._last_of(person, kinds).with_only_columns(QUERIES.c.id).limit(most)
        return self._rows(ids, lambda row: self._scope.id(row.id))[::-1]

    def standing(self, query_id: str) -> dict[str, Said]:
        """Look up the current answers to one query, by person."""
        of_query = self._given.where(ANSWERS.c.query_id == self._scope.key(query_id), stands())
        there = self._rows(of_query, self._answer_since)
        return {said.person: said.answer for said in there if said.answer is not None}

    def history(self, person: str | None = None) -> list[GivenAnswer]:
        """List every answer ever given, by `person` or by anybody, withdrawals included, in order of answering."""
        said = self._given if person is None else self._given.where(ANSWERS.c.who == person)
        return self._rows(said, self._given_answer)

    def number_asked(self) -> int:
        """Count only the queries, which is faster than :attr:`Counts.asked`."""
        [asked] = self._rows(self._count, lambda row: int(row[0]))
        return asked

    def counts(self, kinds: Collection[str] | None = None) -> Counts:
        """Count queries asked, their answers, and the answers still awaited.

        Args:
            kinds: Kinds of query to count; None is all.
        """
        return self._does.read(lambda connection: self._tally.counts(connection, kinds))

    def counts_of(self, person: str) -> OfPerson:
        """Count one person's labels, and compute their median seconds for an answer."""
        return self._does.read(lambda connection: self._tally.of(connection, person))

    def _last_of(self, person: str, kinds: Collection[str] | None) -> Select[Any]:
        theirs = self._standing.where(ANSWERS.c.who == person).order_by(ANSWERS.c.number.desc())
        return theirs if kinds is None else theirs.where(QUERIES.c.kind.in_(kinds))

    def _tally_of(self, run: StoredRun) -> Tally:
        return self._tallies.setdefault(run.number, Tally(Scope(run.number)))

    def _rows(self, statement: Select[Any], make: Callable[[Row[Any]], Item]) -> list[Item]:
        return self._does.read(lambda connection: [make(row) for row in connection.execute(statement)])

    def _preferences(self, statement: Select[Any]) -> list[Preference]:
        return self._does.read(lambda connection: self._made(connection, connection.execute(statement).all()))

    def _made(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[Preference]:
        queries = read(connection, rows, self._at_hand)
        return [row_to_preference(row, queries[row.id]) for row in rows]

    def _queries(self, connection: Connection, keys: Sequence[str]) -> dict[str, Query]:
        rows = in_parts(connection, self._scope.only(_QUERIES), QUERIES.c.id, keys)
        return read(connection, rows, self._at_hand)

    def _answer_since(self, row: Row[Any]) -> AnswerSince:
        said = row_to_answer_since(row)
        return said._replace(query_id=self._scope.id(said.query_id)) if self._scope.prefix else said

    def _given_answer(self, row: Row[Any]) -> GivenAnswer:
        said = row_to_given_answer(row)
        return replace(said, query_id=self._scope.id(said.query_id)) if self._scope.prefix else said

    def _shapes(self, ids: Sequence[str]) -> list[tuple[str, int]]:
        """Look up the kind of each query, and its number of options."""
        keys = [self._scope.key(id_) for id_ in ids]
        known = {key: query for key in keys if (query := self._at_hand.queries.get(key)) is not None}
        shapes = {key: (query.kind, len(query.options)) for key, query in known.items()}
        asked = self._scope.only(select(QUERIES.c.id, QUERIES.c.kind, number_of_options().label("options")))
        if new := [key for key in dict.fromkeys(keys) if key not in shapes]:
            for key in new:
                check_text("query", key)
            rows = self._does.read(lambda connection: list(in_parts(connection, asked, QUERIES.c.id, new)))
            shapes |= {row.id: (row.kind, row.options) for row in rows}
        if unknown := sorted(set(keys) - shapes.keys()):
            raise UnknownQuery(
                f"query {self._scope.id(unknown[0])!r} is not in the store; post it before it is answered"
            )
        return [shapes[key] for key in keys]

    def _known(self, keys: Sequence[str]) -> set[str]:
        """Look up which of some keys are stored, in any run."""
        return self._does.read(lambda connection: {row.id for row in in_parts(connection, _IDS, QUERIES.c.id, keys)})


def _never_posted(query_id: str) -> UnknownQuery:
    return UnknownQuery(f"query {query_id!r} is not in the store; use the id of one that was posted")


# Built once: building a statement takes longer than executing it.
_GIVEN, _QUERIES, _IDS, _COUNT = given(), select(QUERIES), select(QUERIES.c.id), select(func.count(QUERIES.c.number))
_PREFERENCES = (
    select(
        QUERIES, ANSWERS.c.number.label("said"), *(ANSWERS.c[n] for n in ("answer", "who", "shown_at", "answered_at"))
    )
    .join(ANSWERS, ANSWERS.c.query_id == QUERIES.c.id)
    .where(stands())
)
