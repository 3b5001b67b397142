"""Transactions on the preference store's database, retried while it can't be used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, final

from sqlalchemy import Connection, Engine

from rlhf_gym.store.database import at_one_moment, damage_explained, place, writing_alone
from rlhf_gym.store.patience import Patience, may_pass
from rlhf_gym.store.trainer_lock import TrainerLock

Found = TypeVar("Found")
Write = Callable[[Connection, bool], Found]
"""(A connection that holds the write lock, whether this is a retry) -> a result, which is void until committed.

A retry has to look at what is stored, as the earlier try may have been committed.
"""


@final
class Transactions:
    """Reads and writes, each in a transaction of its own.

    Args:
        engine: From :func:`rlhf_gym.store.database.open_database`.
        lasting: Whether lasting writes wait until they are safe from a power cut.
        patience: Seconds to wait for a database that can't be used.
    """

    def __init__(self, engine: Engine, *, lasting: bool, patience: float) -> None:
        self._engine, self._lasting = engine, lasting
        self._passes = partial(may_pass, engine)
        self._reads = Patience(place(engine), patience, what="read")
        self._writes = Patience(place(engine), patience, what="written to")
        self.trainer: TrainerLock | None = None
        """Lock that keeps other trainers out; nothing is written after another trainer has taken it."""

    def close(self) -> None:
        """Release the trainer's lock and close the database; harmless if done twice."""
        if self.trainer:
            self.trainer.close()
        self._engine.dispose()

    def read(self, work: Callable[[Connection], Found]) -> Found:
        """Run `work` in a transaction that reads, as of one moment."""

        def read(_: bool) -> Found:
            with damage_explained(self._engine), at_one_moment(self._engine) as connection:
                return work(connection)

        return self._reads.until_done(read, self._passes)

    def write(self, work: Write[Found], *, lasting: bool = True) -> Found:
        """Run `work` in a transaction that writes, and commit.

        Args:
            work: Called again for each try.
            lasting: Whether to make the commit safe from a power cut.
        """
        lasting = lasting and self._lasting

        def write(again: bool) -> Found:
            if self.trainer:
                self.trainer.check()
            with damage_explained(self._engine), writing_alone(self._engine, lasting=lasting) as connection:
                return work(connection, again)

        return self._writes.until_done(write, self._passes)
