"""The preference store: where trainer, prompts and pages meet."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Row, Select, Table, func, insert, select
from sqlalchemy.exc import IntegrityError

from rlhf_gym.feedback.database import damage_explained, open_database
from rlhf_gym.feedback.rows import query_to_row, row_to_preference, row_to_query
from rlhf_gym.feedback.schema import ANSWERS, QUERIES
from rlhf_gym.segments import Answer, Preference, Query

Item = TypeVar("Item")


class Counts(NamedTuple):
    """How far the asking has come. `asked` counts queries; the others count answers that stand."""

    asked: int
    labels: int
    """LEFT, RIGHT and TIE."""
    ties: int
    skips: int


class PreferenceStore:
    """Queries and their answers in a database: the trainer posts, whoever is there answers, the trainer reads.

    Nothing is ever overwritten. Every answer is a row of its own, and what a person said last about a query is what
    counts; two people may both answer one query. Whatever a method has written is committed when it returns.

    Args:
        url: Database URL as SQLAlchemy reads it, or the path of an SQLite file; made if it isn't there. The default
            lives in memory and is gone with the store.

    Raises:
        ValueError: If the database can't be opened, belongs to something else, or is of another version; and later
            from any method, if its file turns out to be damaged.
        ImportError: If the URL's driver isn't installed.
    """

    def __init__(self, url: str | Path = "sqlite://") -> None:
        self._engine = open_database(url)
        self._close = weakref.finalize(self, self._engine.dispose)  # a store that is dropped closes itself

    def post(self, queries: Sequence[Query]) -> None:
        """Put queries up for answering: all of them, or none if one is refused.

        Raises:
            ValueError: If a query's id is in the store already or comes twice, or if a segment can't be written.
        """
        now = time.time()
        rows = [{**query_to_row(query), "posted_at": now} for query in queries]
        try:
            self._insert(QUERIES, rows)
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
        """Write down what somebody said to a query.

        Args:
            query_id: Which query.
            answer: What was said; None withdraws what `teacher` said before.
            teacher: Who said it.
            shown_at: When the query was shown, seconds since 1970; None where nobody looked.
            answered_at: When the answer came, likewise; None is now.

        Raises:
            ValueError: If there is no such query.
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
        said = {
            "who": teacher,
            "shown_at": shown_at,
            "answered_at": time.time() if answered_at is None else answered_at,
        }
        rows = [
            {"query_id": query_id, "answer": None if answer is None else Answer(answer).value, **said}
            for query_id, answer in zip(query_ids, answers, strict=True)
        ]
        try:
            self._insert(ANSWERS, rows)
        except IntegrityError as error:
            unknown = sorted(set(query_ids) - self._known(query_ids))
            if not unknown:
                raise
            raise ValueError(f"query {unknown[0]!r} is not in the store; post it before it is answered") from error

    def pending(self, limit: int | None = None) -> list[Query]:
        """The oldest queries to which no answer stands, in order of posting; at most `limit` of them."""
        answered = select(ANSWERS.c.query_id).where(_stands())
        open_ones = select(QUERIES).where(QUERIES.c.id.not_in(answered))
        return self._read(open_ones.order_by(QUERIES.c.number).limit(limit), row_to_query)

    def preferences(self) -> list[Preference]:
        """Every answer that stands, SKIP included, with its query, in order of answering."""
        answer = [ANSWERS.c[name] for name in ("answer", "who", "shown_at", "answered_at")]
        chosen = select(QUERIES, *answer).join(ANSWERS, ANSWERS.c.query_id == QUERIES.c.id).where(_stands())
        return self._read(chosen.order_by(ANSWERS.c.number), row_to_preference)

    def counts(self) -> Counts:
        """How many queries were asked, and how they were answered."""
        [asked] = self._read(select(func.count(QUERIES.c.number)), lambda row: row[0])
        tally = select(ANSWERS.c.answer, func.count(ANSWERS.c.number)).where(_stands()).group_by(ANSWERS.c.answer)
        said = {Answer(answer): n for answer, n in self._read(tally, tuple)}
        skips = said.pop(Answer.SKIP, 0)
        return Counts(asked=asked, labels=sum(said.values()), ties=said.get(Answer.TIE, 0), skips=skips)

    def close(self) -> None:
        """Let go of the database; harmless if done twice."""
        self._close()

    def __enter__(self) -> PreferenceStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def _insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            with damage_explained(self._engine), self._engine.begin() as connection:
                connection.execute(insert(table), rows)

    def _read(self, statement: Select[Any], make: Callable[[Row[Any]], Item]) -> list[Item]:
        with damage_explained(self._engine), self._engine.connect() as connection:
            return [make(row) for row in connection.execute(statement)]

    def _known(self, ids: Sequence[str]) -> set[str]:
        return set(self._read(select(QUERIES.c.id).where(QUERIES.c.id.in_(ids)), lambda row: row.id))


def _stands() -> ColumnElement[bool]:
    """Whether an answer is the last its giver gave to the query, and no withdrawal."""
    last = select(func.max(ANSWERS.c.number)).group_by(ANSWERS.c.query_id, ANSWERS.c.who)
    return ANSWERS.c.number.in_(last) & ANSWERS.c.answer.is_not(None)
