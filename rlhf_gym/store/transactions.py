"""Transactions on the preference store's database, made again while it can't be used."""

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
"""(A connection that writes alone, whether this was tried before) -> what was found; without its commit it is nothing.

Of one that was tried before it isn't known whether it was committed: it has to see what is there.
"""


@final
class Transactions:
    """Reads and writes, each in a transaction of its own.

    Args:
        engine: From :func:`rlhf_gym.store.database.open_database`.
        lasting: Whether writes that last wait until they are safe from a power cut.
        patience: Seconds for which a database that can't be used is waited for.
    """

    def __init__(self, engine: Engine, *, lasting: bool, patience: float) -> None:
        self._engine, self._lasting = engine, lasting
        self._passes = partial(may_pass, engine)
        self._reads = Patience(place(engine), patience, what="read")
        self._writes = Patience(place(engine), patience, what="written to")
        self.trainer: TrainerLock | None = None
        """What keeps other trainers out; what it doesn't hold any more isn't written."""

    def close(self) -> None:
        """Let the next trainer in, and close the database; harmless if done twice."""
        if self.trainer:
            self.trainer.close()
        self._engine.dispose()

    def read(self, work: Callable[[Connection], Found]) -> Found:
        """Read, all of it as of one moment."""

        def read(_: bool) -> Found:
            with damage_explained(self._engine), at_one_moment(self._engine) as connection:
                return work(connection)

        return self._reads.until_done(read, self._passes)

    def write(self, work: Write[Found], *, lasting: bool = True) -> Found:
        """Write, and commit.

        Args:
            work: Called anew for each try.
            lasting: Whether it is to be safe from a power cut.
        """
        lasting = lasting and self._lasting

        def write(again: bool) -> Found:
            if self.trainer:
                self.trainer.check()
            with damage_explained(self._engine), writing_alone(self._engine, lasting=lasting) as connection:
                return work(connection, again)

        return self._writes.until_done(write, self._passes)
