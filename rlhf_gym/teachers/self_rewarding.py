"""The self-rewarding teacher: the learned reward adds answers of its own that it is sure of, within bounds."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import CHECK, HELDOUT, MIRRORED, OWN, REPEAT, Answer, Preference, Query
from rlhf_gym.registry import check_is, make, teacher_entry
from rlhf_gym.segments import Array
from rlhf_gym.teachers.people import People
from rlhf_gym.teachers.several import Open, Reply, Several
from rlhf_gym.teachers.teacher import Teacher

LATELY, LEAST = 50, 10  # number of true answers to predict: the latest that count, and the fewest needed
DRAWN = 10  # pairs drawn for each that may be answered

Probabilities = Callable[[Sequence[Query]], Array]
"""N comparisons, at least one -> each member's probability that an option is the better one, shape (M, N, 2)."""
Draw = Callable[[int, Sequence[Query]], Sequence[Query]]
"""(n, queries so far) -> up to n comparisons of the policy's latest segments, uniformly drawn, none asked before."""


@final
class SelfRewardingTeacher(Several):
    """Let a true teacher answer the queries, and the learned reward further comparisons that it is sure of.

    After SURF (Park et al. 2022, section 4.1), whose threshold is 0.99, and Self-Rewarding Language Models (Yuan et al.
    2024). A scheme asks queries on which the reward's members disagree, so they could answer almost none of these. The
    reward answers further comparisons instead, drawn uniformly from the policy's latest steps. The store keeps its
    answers under the name "self", and they cost no label. Before each fit to new true answers, the current reward
    judges them again; where it isn't sure any more, it answers SKIP, which withdraws the earlier answer.

    It can't reinforce its own errors without limit: its answers never cause a fit by themselves, are at most `share` of
    all, and are all withdrawn while it can't predict the true teacher. Predictions are checked on the latest 50 (at
    least 10) true answers, left or right, before any reward is fitted to these or selected by them. A scheme asks
    queries that are hard to predict, so this check errs on the safe side; `query.heldout` mixes uniformly drawn queries
    with them.

    Don't expect more return from it. On CartPole at x = 1, with 30 labels and 60,000 steps, the goal's return on three
    seeds was 359, 161 and 55 without it, 359, 146 and 55 with it, and 104, 111 and 91 with `accuracy` 0, where 26 or 27
    of its 30 answers were right; with uniform queries 218, 11 and 291 without it, and 211, 11 and 254 with it.

    Args:
        true: The true teacher, who must not be people.
        probabilities: Computes the members' probabilities; None never lets the reward answer.
        draw: Draws the comparisons that it may answer; None draws none.
        confidence: Least probability that every member must give an answer, from 0.5 to below 1.
        share: Largest share of the reward's own answers among all answers fitted to, below 1.
        accuracy: Share of the true answers that it must exceed with its predictions, below 1.

    Raises:
        BadInput: If a number is out of range, or the true teacher is people or self-rewarding.
    """

    def __init__(
        self,
        true: Teacher,
        *,
        probabilities: Probabilities | None = None,
        draw: Draw | None = None,
        confidence: float = 0.95,
        share: float = 0.5,
        accuracy: float = 0.8,
    ) -> None:
        _check(true, {"confidence": (confidence, 0.5), "share": (share, 0.0), "accuracy": (accuracy, 0.0)})
        self.true, self.confidence, self.share, self.accuracy = true, confidence, share, accuracy
        self.name, self.kinds = f"{true.name} and {OWN}", true.kinds
        self.each = true.each if isinstance(true, Several) else 1
        self._probabilities, self._draw = probabilities, draw
        self._foretold: deque[bool] = deque(maxlen=LATELY)
        self._met: set[tuple[str, str]] | None = None

    def replies(self, waiting: Sequence[Open]) -> list[Reply]:
        """See :meth:`Several.replies`: the true teacher's."""
        if isinstance(self.true, Several):
            return self.true.replies(waiting)
        queries = [one.query for one in waiting if one.wanted and self.true.name not in one.by]
        answers = self.true.answer(queries)
        return [Reply(query, self.true.name, answer) for query, answer in zip(queries, answers, strict=True)]

    def save_state(self) -> dict[str, Any]:
        """See :meth:`Teacher.save_state`: which answers it predicted, those it knows, and the true teacher's state."""
        met = None if self._met is None else sorted(map(list, self._met))
        return {"foretold": list(self._foretold), "met": met, "true": self.true.save_state()}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """See :meth:`Teacher.restore_state`."""
        self._foretold = deque(state["foretold"], maxlen=LATELY)
        self._met = None if state["met"] is None else {(query, who) for query, who in state["met"]}
        self.true.restore_state(state["true"])

    @property
    def foretold(self) -> tuple[int, int]:
        """Number of the latest true answers that the reward predicted, and number of those checked."""
        return sum(self._foretold), len(self._foretold)

    @property
    def trusted(self) -> bool:
        """Whether the reward may answer now."""
        hits, of = self.foretold
        return of >= LEAST and hits > self.accuracy * of

    def most(self, true: int) -> int:
        """Return how many answers the reward may give besides a number of true ones."""
        return math.floor(self.share * true / (1 - self.share) + 1e-9)

    def renew(
        self, true: Sequence[Preference], own: Sequence[Preference], *, fitted: bool
    ) -> list[tuple[Query, Answer]]:
        """Judge the reward's answers again, and add more, before it is fitted to new true answers.

        Args:
            true: Every true answer in force.
            own: Every answer of the reward's own, SKIP included.
            fitted: Whether the reward has been fitted.

        Returns:
            Own answers that changed, SKIP where one is withdrawn, and answers to further queries.
        """
        self._look(true, fitted=fitted)
        was = {preference.query.id: preference.answer for preference in own}
        queries = [p.query for p in sorted(own, key=lambda p: p.answer is Answer.SKIP)]
        if not (fitted and self.trusted):
            return [(query, Answer.SKIP) for query in queries if was[query.id] is not Answer.SKIP]
        fitted_to = [p for p in true if p.answer is not Answer.SKIP and p.query.why != HELDOUT]
        now, left = self._within(queries, self.most(len(fitted_to)))
        if left and self._draw:
            asked = [preference.query for preference in true]
            fresh, _ = self._within(self._draw(DRAWN * left, [*asked, *queries]), left)
            now += [(query, answer) for query, answer in fresh if answer is not Answer.SKIP]
        return [(query, answer) for query, answer in now if was.get(query.id) is not answer]

    def _look(self, true: Sequence[Preference], *, fitted: bool) -> None:
        """Record new true answers, and whether the reward, not yet fitted to them, predicts them."""
        known, self._met = self._met, {(p.query.id, p.teacher) for p in true}
        if known is None or not fitted or self._probabilities is None:  # the first may be fitted to already
            return
        new = [p for p in true if (p.query.id, p.teacher) not in known and _tells(p)]
        if new:
            ahead = (self._probabilities([p.query for p in new])[..., 0].mean(axis=0) > 0.5).tolist()
            self._foretold.extend(left == (p.answer is Answer.LEFT) for left, p in zip(ahead, new, strict=True))

    def _within(self, queries: Sequence[Query], room: int) -> tuple[list[tuple[Query, Answer]], int]:
        """Answer up to `room` queries that all members are sure of, and SKIP the others; return the room left, too."""
        said = []
        for query, answer in zip(queries, self._sure(queries), strict=True):
            answer = answer if room else Answer.SKIP
            room -= answer is not Answer.SKIP
            said.append((query, answer))
        return said, room

    def _sure(self, queries: Sequence[Query]) -> list[Answer]:
        """Answer queries where all members are sure of the same option, and SKIP the others."""
        if not queries or self._probabilities is None:
            return [Answer.SKIP for _ in queries]
        sure = np.all(self._probabilities(queries) >= self.confidence, axis=0)
        said = {(True, False): Answer.LEFT, (False, True): Answer.RIGHT}
        return [said.get((left, right), Answer.SKIP) for left, right in sure.tolist()]


def make_self_rewarding(
    *,
    teacher: str = "oracle",
    options: Mapping[str, Any] | None = None,
    confidence: float = 0.95,
    share: float = 0.5,
    accuracy: float = 0.8,
    probabilities: Probabilities | None = None,
    draw: Draw | None = None,
    offered: Mapping[str, Any] | None = None,
) -> SelfRewardingTeacher:
    """Let a teacher answer, and add answers of the learned reward itself where it is sure.

    Args:
        teacher: The true teacher, a registered or a dotted name.
        options: The true teacher's options.
        confidence: As :class:`SelfRewardingTeacher` takes it.
        share: Likewise.
        accuracy: Likewise.
        probabilities: Likewise.
        draw: Likewise.
        offered: Values that the loop offers to a teacher.

    Raises:
        BadInput: As :class:`SelfRewardingTeacher`, and if the true teacher can't be made.
    """
    if not isinstance(teacher, str) or not isinstance(options or {}, Mapping):
        raise BadInput(f"teacher_options has teacher {teacher!r} and options {options!r}; use a name and a mapping")
    if teacher_entry(teacher).people:
        raise BadInput(_no_people(teacher))
    given = {**(offered or {}), "name": teacher}
    true = make("teacher", teacher, options or {}, **given, offered=given)
    check_is("teacher", teacher, true, Teacher, "a Teacher with a name and answer(queries)")
    return SelfRewardingTeacher(
        true, probabilities=probabilities, draw=draw, confidence=confidence, share=share, accuracy=accuracy
    )


def _tells(preference: Preference) -> bool:
    """Whether an answer tests the reward: repeats don't, as it was fitted to them, nor do checks, which are obvious."""
    again = preference.query.why in (REPEAT, MIRRORED, CHECK)
    return not again and preference.query.kind == "comparison" and preference.answer in (Answer.LEFT, Answer.RIGHT)


def _no_people(teacher: str) -> str:
    return (
        f"teacher is self, and its true teacher {teacher}, where people answer; it learns from a teacher who isn't "
        "people: use oracle, noisy, rules, judge or panel"
    )


def _check(true: Teacher, numbers: Mapping[str, tuple[float, float]]) -> None:
    if isinstance(true, People):
        raise BadInput(_no_people(true.name))
    if isinstance(true, SelfRewardingTeacher) or true.name == OWN or OWN in getattr(true, "members", ()):
        raise BadInput(
            f"teacher is self, and so is its true teacher {true.name}, or a member; use others, such as oracle"
        )
    for name, (value, least) in numbers.items():
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
        if not least <= number < 1:
            raise BadInput(f"teacher_options.{name} is {value!r}; use a number from {least:g} to below 1")
