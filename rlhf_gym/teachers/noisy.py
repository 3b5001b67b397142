"""The noisy teacher: one who errs, tires and doesn't look, in the ways of B-Pref's simulated humans."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.generators import go_to, state_of
from rlhf_gym.kinds import find_kind
from rlhf_gym.preferences import Answer, Query, Said
from rlhf_gym.segments import Array
from rlhf_gym.teachers.goals import Goal
from rlhf_gym.teachers.showing import Shows, answered
from rlhf_gym.teachers.teacher import Teacher
from rlhf_gym.teachers.values import LATELY, Seen, goal_returns, recent_returns, true_returns, worths

DRIFT_PER = 100  # answers
COIN = 0.5  # a teacher who is wrong more often would be one of the opposite opinion


@final
class NoisyTeacher(Teacher):
    """Answer with flaws (Lee et al. 2021, B-Pref, section 3), each an option of its own, in any combination.

    In this order, for options of returns R and of returns G in which the last steps weigh most: without a look, the
    options are left in the order shown; a query is skipped if its best R is poor; the options are put in the order of
    G, or of a Boltzmann draw by beta G; that order is mistaken; and options of nearly equal R are tied after all. Of
    two options these are B-Pref's definitions; a draw over more is Plackett-Luce's, and a mistake is two of them in
    each other's place.

    Three departures. B-Pref's thresholds are parts of an average episode's return, which of negative returns are none:
    here what is usual is M, the mean R of the options seen lately, poor is R <= M - (1 - eps_skip) |M|, which for
    positive ones is eps_skip M, and nearly equal is a difference below eps_equal |M|; where M is 0 nothing is poor.
    Options of exactly equal G are tied; among others, tied ones have the place of one of them. A skipped query counts
    as asked and not as a label.

    One segment by itself is rated by the place of its beta G, with the draw's noise, among those of the last 200, and
    by mistake at any place; without a look it has the middle one, and nothing is switched off.

    Args:
        goal: What counts; None is the environment's reward.
        beta: How surely the better is preferred, in log-odds per unit of return; infinite is always.
        gamma: Weight of a step against the next one's in G, above 0.
        eps_mistake: Probability of a mistake.
        eps_skip: Part of M that the best option has to exceed; 0 never skips.
        eps_equal: Difference that isn't seen, as a part of |M|.
        left: Probability of answering in the order shown, without a look.
        drift: Added to eps_mistake with every 100 answers, until half of all are mistaken.
        standardise: Whether beta is per standard deviation of G over the options seen lately.
        shows: Makes what is to be demonstrated or corrected, without a flaw; None has nothing to show.
        seed: Of all chance.

    Raises:
        BadInput: If a number is out of its range.
    """

    name = "noisy"

    def __init__(
        self,
        goal: Goal | None = None,
        *,
        beta: float = math.inf,
        gamma: float = 1.0,
        eps_mistake: float = 0.0,
        eps_skip: float = 0.0,
        eps_equal: float = 0.0,
        left: float = 0.0,
        drift: float = 0.0,
        standardise: bool = False,
        shows: Shows | None = None,
        seed: int | np.random.SeedSequence | np.random.Generator,
    ) -> None:
        _check({"beta": beta}, above=0.0, most=math.inf)
        _check({"gamma": gamma}, above=0.0, most=1.0)
        shares = {"eps_mistake": eps_mistake, "eps_skip": eps_skip, "eps_equal": eps_equal, "left": left}
        _check({**shares, "drift": drift}, least=0.0, most=1.0)
        if not isinstance(standardise, bool):
            raise BadInput(f"teacher_options.standardise is {standardise!r}; use true or false")
        self.goal = goal
        self.beta, self.standardise = float(beta), standardise
        self.eps_mistake, self.eps_skip, self.eps_equal = float(eps_mistake), float(eps_skip), float(eps_equal)
        self.left, self.drift = float(left), float(drift)
        self._returns = true_returns if goal is None else goal_returns(goal)
        self._recent = None if gamma == 1 else recent_returns(goal, gamma)
        self._seen: deque[tuple[float, float]] = deque(maxlen=LATELY)  # R and G of each option
        self._shows, self._places, self._answered = shows, Seen(), 0
        self._rng = np.random.default_rng(seed)

    def answer(self, queries: Sequence[Query]) -> list[Said]:
        """See :meth:`Teacher.answer`."""
        return answered(queries, self._judge, self._shows)

    def save_state(self) -> dict[str, Any]:
        """See :meth:`Teacher.save_state`: what is usual, how many answers were given, and chance."""
        usual = {"seen": [list(pair) for pair in self._seen], "places": self._places.state}
        return {**usual, "answered": self._answered, "rng": state_of(self._rng)}

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """See :meth:`Teacher.restore_state`."""
        self._seen.clear()
        self._seen.extend((returns, recent) for returns, recent in state["seen"])
        self._places.restore(state["places"])
        self._answered = int(state["answered"])
        go_to(self._rng, state["rng"])

    def _judge(self, queries: Sequence[Query]) -> list[Said]:
        returns = worths(self._returns, queries)
        recent = worths(self._recent, queries) if self._recent else returns
        return [self._answer(*of) for of in zip(queries, returns, recent, strict=True)]

    def _answer(self, query: Query, returns: Array, recent: Array) -> Said:
        self._seen.extend(zip(returns.tolist(), recent.tolist(), strict=True))
        usual = float(np.mean([seen for seen, _ in self._seen]))
        # All chance is drawn for every query, so that one flaw doesn't change what another one brings.
        kind = find_kind(query.kind)
        utilities, mistaken, look = *self._utilities(recent), self._rng.random()
        if look < self.left:
            self._answered += 1
            return kind.said(_without_a_look(query, len(returns)))
        if self.eps_skip and usual and returns.max() <= usual - (1 - self.eps_skip) * abs(usual):
            return Answer.SKIP
        self._answered += 1
        if kind.alone:
            place = self._places.place(float(utilities[0]))
            return kind.said([float(self._rng.random()) if mistaken else place])
        for tied in _alike(returns, recent, self.eps_equal * abs(usual)):
            utilities[tied] = utilities[tied[0]]
        return kind.said(utilities.tolist())

    def _utilities(self, recent: Array) -> tuple[Array, bool]:
        """Draw numbers, shape (K,), in whose order the options are put, and whether two are in each other's place."""
        rng, k = self._rng, len(recent)
        noise, mistake, swapped = rng.gumbel(size=k), rng.random(), rng.permutation(k)[:2]
        utilities = recent.astype(np.float64)
        if math.isfinite(self.beta):
            utilities = self.beta * utilities / self._unit() + noise  # the largest is a Boltzmann draw (Gumbel 1954)
        mistaken = mistake < min(
            self.eps_mistake + self.drift * self._answered / DRIFT_PER, max(COIN, self.eps_mistake)
        )
        if mistaken:
            utilities[swapped] = utilities[swapped[::-1]]
        return utilities, mistaken

    def _unit(self) -> float:
        """Measure the unit that beta counts returns in; of a single level it is 1, as nothing is to be told apart."""
        return float(np.std([seen for _, seen in self._seen])) or 1.0 if self.standardise else 1.0


def _without_a_look(query: Query, weighed: int) -> list[float]:
    """Give worths that leave options in the order shown; or, of one option, nothing that speaks for or against it."""
    if len(query.options) > 1:
        return [-float(place) for place in range(weighed)]
    return [0.5] * weighed


def _alike(returns: Array, recent: Array, threshold: float) -> list[Array]:
    """List the options that can't be told apart from the best of theirs, numbers of 2 or more each."""
    left, groups = list(np.argsort(-returns, kind="stable")), []
    while left:
        first = left[0]
        alike = [i for i in left if returns[first] - returns[i] < threshold or recent[first] == recent[i]]
        left = [i for i in left if i not in alike]
        groups += [np.array(alike)] * (len(alike) > 1)
    return groups


def _check(
    options: dict[str, float], *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf
) -> None:
    for name, value in options.items():
        if not isinstance(value, int | float) or not (least <= value <= most and value > above):
            low = f"above {above:g}" if above > -math.inf else f"from {least:g}"
            high = f" up to {most:g}" if math.isfinite(most) else ""
            raise BadInput(f"teacher_options.{name} is {value!r}; use a number {low}{high}")
