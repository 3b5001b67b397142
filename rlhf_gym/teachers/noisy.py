"""The noisy teacher, who makes mistakes like B-Pref's simulated humans, tires, and answers without looking."""

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
from rlhf_gym.teachers.oracle import OracleTeacher
from rlhf_gym.teachers.showing import Shows, answered
from rlhf_gym.teachers.teacher import Teacher
from rlhf_gym.teachers.values import LATELY, Seen, goal_returns, recent_returns, true_returns, worths

DRIFT_PER = 100  # answers
COIN = 0.5  # a teacher with more mistakes would have the opposite preference


@final
class NoisyTeacher(Teacher):
    """Answer with flaws (Lee et al. 2021, B-Pref, section 3), each an option of its own, in any combination.

    R is an option's return, and G its return with the last steps weighted most. In this order: a teacher who doesn't
    look leaves the options in the order shown; a query is skipped if its best R is poor; the options are ranked by G,
    or by a Boltzmann draw of beta G; a mistake is made in that ranking; and options of nearly equal R are tied. For two
    options these are B-Pref's definitions; for more, the draw is Plackett-Luce's, and a mistake swaps two options.

    There are three departures. B-Pref's thresholds are shares of an average episode's return, which make no sense for
    negative returns. Here M is the mean R of the options seen lately; poor is R <= M - (1 - eps_skip) |M|, which is
    eps_skip M if M is positive; nearly equal is a difference below eps_equal |M|; if M is 0, nothing is poor. Options
    of exactly equal G are tied, and tied options share the rank of one of them. A skipped query counts as asked, but
    not as a label.

    A single segment is rated by the rank of its beta G, with the draw's noise, among the last 200, and by mistake at a
    random rank; without looking it gets the middle one, and nothing is switched off.

    Args:
        goal: Goal whose rewards count; None is the environment's reward.
        beta: Log-odds of preferring the better option, per unit of return; infinite always prefers it.
        gamma: Weight of a step relative to the next one in G, above 0.
        eps_mistake: Probability of a mistake.
        eps_skip: Share of M that the best option must exceed; 0 never skips.
        eps_equal: Difference below which returns count as equal, as a share of |M|.
        left: Probability of answering in the order shown, without looking.
        drift: Added to eps_mistake per 100 answers (what `shows` makes isn't counted), until the probability is 0.5.
        standardise: Whether beta is per standard deviation of G over the options seen lately.
        shows: Makes demonstrations and corrections, without flaws; None can't make any.
        seed: Seed of all random draws.

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
        return answered(queries, self._judge, self._shows, compare=OracleTeacher(values=self._returns).answer)

    def save_state(self) -> dict[str, Any]:
        """See :meth:`Teacher.save_state`: the returns seen lately, the number of answers, and the generator."""
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
        # These are drawn for every query, so that one flaw doesn't change the draws of another.
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
        """Draw utilities that rank the options, shape (K,), and whether two of them were swapped by mistake."""
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
        """Return the unit of beta: the standard deviation of G if `standardise` is on and it isn't 0, else 1."""
        return float(np.std([seen for _, seen in self._seen])) or 1.0 if self.standardise else 1.0


def _without_a_look(query: Query, weighed: int) -> list[float]:
    """Return values that leave the options in the order shown, or equal values for a single option."""
    if len(query.options) > 1:
        return [-float(place) for place in range(weighed)]
    return [0.5] * weighed


def _alike(returns: Array, recent: Array, threshold: float) -> list[Array]:
    """Group options that are tied with the best one of their group; return the indices of groups of 2 or more."""
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
