"""Counts of queries and answers, updated incrementally: each call reads only what is new."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple, final

from sqlalchemy import Connection, Row, func, select

from rlhf_gym.errors import UNREADABLE
from rlhf_gym.preferences import OWN, Answer
from rlhf_gym.store.answers import Counts, is_open, stands, tally_by_kind
from rlhf_gym.store.packing import Damaged
from rlhf_gym.store.queries import in_parts
from rlhf_gym.store.rows import readable
from rlhf_gym.store.runs import EVERY, Scope
from rlhf_gym.store.schema import ANSWERS, DROPPED, QUERIES

_ENDS = select(
    select(func.coalesce(func.max(ANSWERS.c.number), 0)).scalar_subquery().label("answers"),
    select(func.coalesce(func.max(QUERIES.c.number), 0)).scalar_subquery().label("queries"),
    select(func.count()).select_from(DROPPED).scalar_subquery().label("dropped"),
)
_ASKED = select(QUERIES.c.number, QUERIES.c.id, QUERIES.c.kind, QUERIES.c.people, QUERIES.c.why)
_OPEN = select(QUERIES.c.number, QUERIES.c.id).where(is_open()).order_by(QUERIES.c.number)
_BY = select(ANSWERS).where(stands())
_ANSWERED = select(ANSWERS.c.query_id)
Said = dict[str, Row[Any]]
"""Current answers to one query, by person."""


class OfPerson(NamedTuple):
    """Figures of one person's current answers."""

    labels: int
    """Number of answers, without skips."""
    median_seconds: float | None
    """Median time from seeing a query to answering it; None if no answer has a `shown_at`."""


@dataclass
class _Person:
    labels: int = 0
    seconds: array[float] = field(default_factory=lambda: array("d"))  # ascending

    def count(self, row: Row[Any], times: int) -> None:
        """Add an answer, or remove it if `times` is -1."""
        self.labels += times * (row.answer != Answer.SKIP.value)
        if row.shown_at is None:
            return
        seconds = max(0.0, row.answered_at - row.shown_at)  # the clock may have been set back between
        if times > 0:
            insort(self.seconds, seconds)
        else:
            del self.seconds[bisect_left(self.seconds, seconds)]


@final
class Tally:
    """Counts of a store's queries and answers. Safe to use from many threads.

    Its memory grows with the open queries, and by a number for each answer of a person whose figures were asked for.

    Args:
        scope: The run, or all runs, to count.
    """

    def __init__(self, scope: Scope = EVERY) -> None:
        self._asked, self._all_open, self._by_kind = map(scope.only, (_ASKED, _OPEN, tally_by_kind()))
        self._by, self._answered = scope.only_answers(_BY), scope.only_answers(_ANSWERED, in_order=True)
        self._lock = threading.Lock()  # taken only with a connection in hand: in memory there is one
        self._read: tuple[int, ...] | None = None  # last answer, last query and number dropped, as in _ENDS
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._open: list[tuple[int, str]] = []  # numbers and ids, ascending
        self._people: dict[str, _Person] = {}

    def counts(self, connection: Connection, kinds: Collection[str] | None = None) -> Counts:
        """Count queries and answers, as of the connection's moment or later."""
        with self._lock:
            self._keep_up(connection)
            told = [of for kind, of in self._counts.items() if kinds is None or kind in kinds]
            return Counts(*(sum(of[name] for of in told) for name in Counts._fields))

    def open(self, connection: Connection, limit: int | None = None) -> list[str]:
        """List the ids of the oldest open queries, in order of posting."""
        with self._lock:
            self._keep_up(connection)
            return [id_ for _, id_ in self._open[:limit]]

    def of(self, connection: Connection, person: str) -> OfPerson:
        """Count one person's answers."""
        with self._lock:
            now = self._keep_up(connection)
            one = self._people.get(person)
            if one is None:
                one = _Person()
                for row in connection.execute(self._by.where(ANSWERS.c.who == person)):
                    with readable(f"answer {row.number}"):
                        one.count(row, 1)
                if now == self._read:  # otherwise another thread has read a later moment
                    self._people[person] = one
            return OfPerson(one.labels, median(one.seconds) if one.seconds else None)

    def _keep_up(self, connection: Connection) -> tuple[int, ...]:
        now, was = tuple(connection.execute(_ENDS).one()), self._read
        if was is not None and not any(n > m for n, m in zip(now, was, strict=True)):
            return now
        try:
            if was is None:
                self._begin(connection)
            else:
                self._add(connection, was, now)
        except BaseException as error:  # the counts may be incomplete
            self._read = None
            if isinstance(error, UNREADABLE):
                raise Damaged(f"queries and answers can't be counted ({error})") from error
            raise
        self._read = now
        return now

    def _begin(self, connection: Connection) -> None:
        self._counts.clear()
        self._people.clear()
        for row in connection.execute(self._by_kind):
            counted = {name: int(getattr(row, name)) for name in Counts._fields}  # sums are Decimal on a server
            self._counts[row.kind].update(counted)
        self._open = [(row.number, row.id) for row in connection.execute(self._all_open)]

    def _add(self, connection: Connection, was: tuple[int, ...], now: tuple[int, ...]) -> None:
        answers, queries, dropped = was
        asked: dict[str, Any] = {
            row.id: row for row in connection.execute(self._asked.where(QUERIES.c.number > queries))
        }
        answered = set(connection.scalars(self._answered.where(ANSWERS.c.number > answers)))
        gone = self._dropped(connection, [id_ for _, id_ in self._open]) if now[2] > dropped else set()
        changed = list(asked.keys() | answered | gone)
        known = [id_ for id_ in changed if id_ not in asked]
        rows = asked | {row.id: row for row in in_parts(connection, _ASKED, QUERIES.c.id, known)}
        gone |= self._dropped(connection, list(answered | asked.keys()))
        before, after = _standing(connection, list(answered | gone), answers)
        for id_ in changed:
            row, was_open = rows[id_], self._is_open(rows[id_])
            counts = self._counts[row.kind]
            if id_ not in asked:  # a complete query counts the same, dropped or not
                counts.subtract(_counted(row, before[id_], dropped=not was_open))
            told = _counted(row, after[id_], dropped=id_ in gone)
            counts.update(told)
            if was_open != bool(told["open"]):
                self._turn(row)
            for sign, said in ((-1, before[id_]), (1, after[id_])):
                for who in said.keys() & self._people.keys():
                    self._people[who].count(said[who], sign)

    def _dropped(self, connection: Connection, ids: Sequence[str]) -> set[str]:
        return {row.query_id for row in in_parts(connection, select(DROPPED.c.query_id), DROPPED.c.query_id, ids)}

    def _is_open(self, row: Row[Any]) -> bool:
        at = bisect_left(self._open, (row.number, row.id))
        return at < len(self._open) and self._open[at] == (row.number, row.id)

    def _turn(self, row: Row[Any]) -> None:
        """Add a query to the open ones, or remove it if it is among them."""
        one = (row.number, row.id)
        if self._is_open(row):
            del self._open[bisect_left(self._open, one)]
        else:
            insort(self._open, one)


def _counted(query: Row[Any], said: Said, *, dropped: bool) -> dict[str, int]:
    """Count one query as :class:`Counts` does."""
    missing = max(0, query.people - len(said))
    waits = missing > 0 and not dropped
    texts = [] if query.why == OWN else [row.answer for row in said.values()]
    skips = texts.count(Answer.SKIP.value)
    return {
        "asked": 1,
        "labels": len(texts) - skips,
        "ties": texts.count(Answer.TIE.value),
        "skips": skips,
        "dropped": int(dropped and not said),
        "open": int(waits),
        "awaited": missing if waits else 0,
    }


def _standing(connection: Connection, ids: Sequence[str], number: int) -> tuple[dict[str, Said], dict[str, Said]]:
    """Look up the answers to some queries that were current after answer `number`, and those current now."""
    before: dict[str, Said] = defaultdict(dict)
    after: dict[str, Said] = defaultdict(dict)
    # By its bare number SQLite would read every answer.
    for row in in_parts(connection, select(ANSWERS).order_by(ANSWERS.c.number + 0), ANSWERS.c.query_id, ids):
        for standing in [after] if row.number > number else [before, after]:
            standing[row.query_id].pop(row.who, None)
            if row.answer is not None:
                standing[row.query_id][row.who] = row
    return before, after
