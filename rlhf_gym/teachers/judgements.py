"""The record of a judge's questions and answers, one a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final


@dataclass(frozen=True)
class Judgement:
    """One line of the record: what the model was asked, and its answer."""

    query: str
    """The query's id."""
    kind: str
    model: str
    url: str
    messages: Sequence[Mapping[str, str]]
    """All messages, by role: principles and account, replies, and responses to replies that can't be read."""
    answer: str
    """As the kind writes it; "skip" if no reply could be read, "" if the endpoint failed before one could."""
    reason: str
    tokens_in: int
    tokens_out: int
    cost: float
    """In the unit of the prices."""
    seconds: float
    at: float
    """Seconds since 1970."""


@final
class Judgements:
    """Judgements by the query's id, in a file that is only appended to.

    Args:
        file: File to append to, after reading the judgements it holds; None keeps them in memory alone.

    Attributes:
        cost: Cost of all judgements ever made, in the unit of the prices.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self.cost = 0.0
        self._by_query: dict[str, Judgement] = {}
        text = file.read_text(encoding="utf-8") if file and file.exists() else ""
        for line in text.splitlines():
            try:
                judgement = Judgement(**json.loads(line))
            except (ValueError, TypeError):  # cut short by a kill
                continue
            self._count(judgement)
        if file and text and not text.endswith("\n"):
            self._write("\n")

    def __len__(self) -> int:
        return len(self._by_query)

    def about(self, query_id: str, model: str, url: str, asked: Sequence[Mapping[str, str]]) -> Judgement | None:
        """Look up a model's judgement of exactly the same question; None if there is none."""
        found = self._by_query.get(query_id)
        if found is None or not found.answer or (found.model, found.url) != (model, url):
            return None
        return found if list(found.messages[: len(asked)]) == list(asked) else None

    def keep(self, judgement: Judgement) -> None:
        """Add a judgement."""
        self._count(judgement)
        self._write(json.dumps(asdict(judgement)) + "\n")

    def _count(self, judgement: Judgement) -> None:
        self._by_query[judgement.query] = judgement
        self.cost += judgement.cost

    def _write(self, text: str) -> None:
        if self.file:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(text)
