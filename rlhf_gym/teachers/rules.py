"""The teacher who follows written rules: a constitution, read from a YAML file."""

from __future__ import annotations

import math
import reprlib
import sys
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import yaml

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Query, Said
from rlhf_gym.segments import Array, Segment
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers.expressions import Expression
from rlhf_gym.teachers.goals import finite
from rlhf_gym.teachers.showing import Shows, answered
from rlhf_gym.teachers.teacher import Teacher
from rlhf_gym.teachers.values import LATELY, steps_named, sums, worths
from rlhf_gym.teachers.variables import Variables, variables_of

COPY = "rules.yaml"
ORDERS, KEYS = ("lexicographic", "weighted"), ("environment", "env_kwargs", "order", "principles")
ROUNDING = 1e-9
LARGEST = 100_000  # characters of a file of rules
PRINCIPLE = {"name", "holds", "quantity", "tolerance", "weight"}


@dataclass(frozen=True)
class Principle:
    """One rule.

    Args:
        name: Its name.
        expression: Formula that is computed for each step.
        condition: Whether the formula is a condition, which holds or doesn't, or a quantity.
        tolerance: Difference between two segments' scores up to which it decides nothing.
        weight: Weight of its score in a weighted sum.
    """

    name: str
    expression: Expression
    condition: bool
    tolerance: float = 0.0
    weight: float = 1.0

    def scores(self, segments: Sequence[Segment], variables: Variables) -> Array:
        """Compute the scores of segments, shape (N,).

        A condition's score is the share of steps at which it holds; at steps that weren't lived it doesn't. A
        quantity's score is the mean over the lived steps.

        Raises:
            NotFinite: If the formula gives NaN or infinity.
        """
        with steps_named(segments):
            values = finite(
                self.expression(variables(segments)), f"principle {self.name!r}, {self.expression.text}, gives"
            )
        steps = [segment.length if self.condition else max(segment.lived, 1) for segment in segments]
        return np.asarray(sums(segments, values) / steps)


@final
class RulesTeacher(Teacher):
    """Answer by principles that are written in a file.

    ::

        environment: CartPole-v1
        order: lexicographic        # the first principle that tells options apart decides; or weighted
        principles:
          - name: stay upright
            holds: abs(pole_angle) < 0.2
            tolerance: 0.05
          - name: close to x = 1
            quantity: -abs(cart_position - 1)

    A principle has either `holds`, a condition, which is scored by the share of steps at which it is met, or
    `quantity`, which is scored by its mean over the lived steps. Formulas
    (:class:`rlhf_gym.teachers.expressions.Expression`) name the environment's variables
    (:func:`rlhf_gym.teachers.variables.variables_of`).

    In lexicographic order, options within `tolerance` of the best by the first principle are compared by the second,
    and so on; options that no principle separates are tied. In weighted order, options are ranked by the sum of scores
    times `weight`.

    A run keeps a copy beside its store, uses that if the file is gone, and refuses a file that has changed.

    Args:
        file: Path of the rules.
        store: Store beside which the copy is kept, if that is a file.
        shows: Makes demonstrations and corrections; None can't make any.
        env_id: Environment that it teaches in; None checks only the segments of queries.

    Attributes:
        decided: Number of queries that each principle decided, by separating the best option from the next.

    Raises:
        BadInput: If the file can't be read, has changed, or isn't as above, naming the principle at fault; if it is
            for another environment than `env_id`; and from `answer`, if segments are of another one.
    """

    name = "rules"

    def __init__(
        self,
        file: str,
        store: PreferenceStore | None = None,
        *,
        shows: Shows | None = None,
        env_id: str | None = None,
    ) -> None:
        file = str(file)  # a flag's value may read as a number
        copy = store.beside(COPY) if store else None
        text = _text(file, copy)
        rules = _parsed(file, text)
        if env_id not in (None, rules["environment"]):
            raise BadInput(
                f"teacher_options.file is {file!r}, whose rules are for {rules['environment']}, and env_id is {env_id};"
                " use rules that name its variables"
            )
        self.variables = variables_of(rules["environment"], rules.get("env_kwargs"))
        self.order, self.principles = rules["order"], _principles(rules["principles"], self.variables, file)
        self.decided: Counter[str] = Counter()
        self._shows, self._seen = shows, deque[Array](maxlen=LATELY)
        if copy and not copy.exists():  # only once the rules are known to be good
            copy.write_text(text, encoding="utf-8")

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        """See :meth:`Teacher.answer`."""
        return answered(queries, self._judge, self._shows)

    def save_state(self) -> dict[str, Any]:
        """See :meth:`Teacher.save_state`: scores of the segments rated lately, and the counts of :attr:`decided`."""
        return {"seen": [scores.tolist() for scores in self._seen], "decided": dict(self.decided)}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """See :meth:`Teacher.restore_state`."""
        self._seen.clear()
        self._seen.extend(np.array(scores) for scores in state["seen"])
        self.decided = Counter(state["decided"])

    def _judge(self, queries: Sequence[Query]) -> list[Said]:
        return [self._answer(*of) for of in zip(queries, self._scores(queries), strict=True)]

    def decider(self, query: Query) -> str | None:
        """Name the principle that puts the best option before the next one; None if they are tied."""
        (scores,) = self._scores([query])
        return self._decider(scores, self._levels(scores))

    def _scores(self, queries: Sequence[Query]) -> list[Array]:
        """Compute the scores of each query's options by each principle, shapes (K, principles)."""
        each = [worths(partial(p.scores, variables=self.variables), queries) for p in self.principles]
        return [np.stack(of, axis=1) for of in zip(*each, strict=True)]

    def _answer(self, query: Query, scores: Array) -> Said:
        kind = find_kind(query.kind)
        if kind.alone:
            self._seen.append(scores[0])
            seen = self._levels(np.array(self._seen))
            return kind.said([float((seen < seen[-1]).mean() + (seen == seen[-1]).mean() / 2)])
        levels = self._levels(scores)
        if decider := self._decider(scores, levels):
            self.decided[decider] += 1
        return kind.said(levels.tolist())

    def _levels(self, scores: Array) -> Array:
        """Turn scores, shape (K, principles), into numbers that order the options, shape (K,)."""
        if self.order == "weighted":
            weighted = scores * [p.weight for p in self.principles]
            return np.array([math.fsum(row) for row in weighted.tolist()])
        levels = np.zeros(len(scores))
        for place, alike in enumerate(_sorted(scores, [p.tolerance for p in self.principles])):
            levels[alike] = -place
        return levels

    def _decider(self, scores: Array, levels: Array) -> str | None:
        if len(levels) < 2:
            return None
        best, following = np.argsort(-levels, kind="stable")[:2]
        if levels[best] == levels[following]:
            return None
        gaps = scores[best] - scores[following]
        if self.order == "weighted":
            return self.principles[int(np.argmax(gaps * [p.weight for p in self.principles]))].name
        return next(p.name for p, gap in zip(self.principles, gaps, strict=True) if not _within(abs(gap), p.tolerance))


def _within(gap: float, tolerance: float) -> bool:
    """Whether a difference is within the tolerance, up to float rounding: 0.8 and 0.7 are within 0.1."""
    return gap <= tolerance * (1 + ROUNDING)


def _sorted(scores: Array, tolerances: Sequence[float]) -> list[list[int]]:
    """Group options that no principle separates, the best group first."""
    groups = [list(range(len(scores)))]
    for column, tolerance in zip(scores.T, tolerances, strict=True):
        groups = [alike for group in groups for alike in _apart(group, column, tolerance)]
    return groups


def _apart(group: list[int], scores: Array, tolerance: float) -> list[list[int]]:
    """Split a group by one principle; options within its tolerance of the best of their part stay together."""
    left, parts = sorted(group, key=lambda option: -scores[option]), []
    while left:
        alike = [option for option in left if _within(scores[left[0]] - scores[option], tolerance)]
        left = left[len(alike) :]
        parts.append(alike)
    return parts


def _text(file: str, copy: Path | None) -> str:
    """Read the rules, or a run's copy of them if the file is gone."""
    kept = copy.read_text(encoding="utf-8") if copy and copy.exists() else None
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError, TypeError) as error:
        if kept is None:
            raise BadInput(f"teacher_options.file is {file!r}, which can't be read: {error}") from error
        return kept
    if kept is not None and kept != text:
        raise BadInput(
            f"teacher_options.file is {file!r}, which has changed since the run began; a run goes on with what it was "
            f"taught by, {copy}: put that back, or begin a new run"
        )
    return text


class _Loader(yaml.SafeLoader):
    """Load YAML without aliases, by which a few lines can expand to any number."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*), which rules don't need")
        return super().compose_node(parent, index)


def _parsed(file: str, text: str) -> dict[str, Any]:
    what = f"teacher_options.file is {file!r}"
    if len(text) > LARGEST:
        raise BadInput(f"{what}, which has {len(text)} characters; use at most {LARGEST}")
    try:
        rules = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"{what}, which is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(rules, dict) or not isinstance(rules.get("environment"), str):
        raise BadInput(f"{what}, which doesn't say for which environment it is; begin with environment: CartPole-v1")
    if not isinstance(rules.get("env_kwargs", {}), dict):
        raise BadInput(f"{what}, whose env_kwargs are {reprlib.repr(rules['env_kwargs'])}; use names with values")
    rules.setdefault("order", ORDERS[0])
    if rules["order"] not in ORDERS:
        raise BadInput(f"{what}, whose order is {reprlib.repr(rules['order'])}; use one of {', '.join(ORDERS)}")
    if more := [key for key in rules if key not in KEYS]:
        raise BadInput(f"{what}, which has {reprlib.repr(more[0])}; it may have {', '.join(KEYS)}")
    if not isinstance(rules.get("principles"), list) or not rules["principles"]:
        raise BadInput(f"{what}, which has no list of principles; write one or more")
    return rules


def _principles(listed: Sequence[Any], variables: Variables, file: str) -> list[Principle]:
    found = [_principle(entry, number, variables, file) for number, entry in enumerate(listed, start=1)]
    if double := [name for name, times in Counter(p.name for p in found).items() if times > 1]:
        raise BadInput(f"{file}: two principles are called {double[0]!r}; give each its own name")
    return found


def _principle(entry: Any, number: int, variables: Variables, file: str) -> Principle:
    where = f"{file}, principle {number}"
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise BadInput(f"{where}: it has no name; write name: stay upright")
    where = f"{file}, {entry['name']!r}"
    if unknown := sorted(map(str, entry.keys() - PRINCIPLE)):
        raise BadInput(f"{where}: it has {unknown[0]!r}; a principle has {', '.join(sorted(PRINCIPLE))}")
    if ("holds" in entry) == ("quantity" in entry):
        raise BadInput(f"{where}: give it either holds, a condition, or quantity")
    numbers = {key: entry[key] for key in ("tolerance", "weight") if key in entry}
    for key, value in numbers.items():
        amount: float = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if not abs(amount) <= sys.float_info.max or (key == "tolerance" and amount < 0):
            wanted = "a number" + " from 0" * (key == "tolerance")
            raise BadInput(f"{where}: its {key} is {reprlib.repr(value)}; use {wanted}")
    text = entry.get("holds", entry.get("quantity"))
    if not isinstance(text, str | int | float):
        raise BadInput(f"{where}: it has {reprlib.repr(text)} for a formula; write one, such as abs(pole_angle) < 0.2")
    try:
        expression = Expression(str(text), variables.names)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error
    if "holds" in entry and not expression.is_condition:
        raise BadInput(f"{where}: {text!r} is no condition; compare it with something, or call it a quantity")
    return Principle(entry["name"], expression, "holds" in entry, **numbers)
