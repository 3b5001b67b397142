"""The principles of a constitution as teachers: each answers every query by itself, under its own name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, final

from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Query, Said
from rlhf_gym.registry import KINDS
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers.rules import Principle, RulesTeacher
from rlhf_gym.teachers.several import Open, Reply, Several
from rlhf_gym.teachers.values import Seen, said, worths


@final
class PrinciplesTeacher(Several):
    """Let each principle of a file of rules answer as if it were the only one.

    The file is written as for :class:`RulesTeacher`, but its order, weights and tolerances are ignored. The method that
    learns from the answers weighs the principles (:class:`rlhf_gym.methods.objectives.ObjectivesMethod`), possibly
    afterwards. Each answer is a label, so a query costs as many labels as there are principles.

    Args:
        file: Path of the rules.
        store: Store beside which a copy is kept, if that is a file.

    Raises:
        BadInput: As :class:`RulesTeacher`.
    """

    name = "principles"
    kinds = tuple(kind for kind in KINDS if not find_kind(kind).made)

    def __init__(self, file: str, store: PreferenceStore | None = None) -> None:
        self._rules = RulesTeacher(file, store)
        self._seen = {principle.name: Seen() for principle in self._rules.principles}
        self.each = len(self._rules.principles)

    def replies(self, waiting: Sequence[Open]) -> list[Reply]:
        """See :meth:`Several.replies`; principles that haven't answered a query do so in the order of the file."""
        asked = [[p for p in self._rules.principles if p.name not in one.by][: one.wanted] for one in waiting]
        answers = {
            principle.name: self._answers(
                principle, [one.query for one, who in zip(waiting, asked, strict=True) if principle in who]
            )
            for principle in self._rules.principles
        }
        return [
            Reply(one.query, principle.name, next(answers[principle.name]))
            for one, who in zip(waiting, asked, strict=True)
            for principle in who
        ]

    def save_state(self) -> dict[str, Any]:
        """See :meth:`Teacher.save_state`: by principle, the scores of the segments rated lately."""
        return {name: seen.state for name, seen in self._seen.items()}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """See :meth:`Teacher.restore_state`."""
        for name, seen in self._seen.items():
            seen.restore(state[name])

    def _answers(self, principle: Principle, queries: Sequence[Query]) -> Iterator[Said]:
        worth = worths(partial(principle.scores, variables=self._rules.variables), queries)
        return iter([said(query, of, self._seen[principle.name]) for query, of in zip(queries, worth, strict=True)])
