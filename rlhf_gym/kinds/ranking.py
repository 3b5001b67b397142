"""Ranking: several segments in order, best first (Plackett 1975; Luce 1959).

Luce's choice axiom gives a ranking the likelihood of choosing its best option out of all, then the next out of those
that are left, and so on (R. D. Luce, *Individual Choice Behavior*, 1959; R. L. Plackett, *The Analysis of
Permutations*, 1975): k - 1 choices with one option fewer each.

It isn't known which of several tied options would have been chosen first, so none is removed before all are placed:
each of m tied options is a choice out of all that were left when the first of them was placed, with its target spread
evenly over the m (N. Breslow, *Covariance analysis of censored survival data*, 1974, whose partial likelihood is the
same). With ties there are k - 1 choices too, and a tie of two options alone is the tie of a comparison.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rlhf_gym.errors import UNREADABLE, BadInput
from rlhf_gym.kinds.kind import Kind
from rlhf_gym.preferences import Answer, Choice, Preference, Ranking, Said


def parse(text: str, options: int) -> Said:
    """Read "skip" or the numbers of the options, best first: [2,0,1], or with a tie [2,[0,1]].

    Raises:
        BadInput: If it is neither, or doesn't name each of the `options` once.
    """
    if text == Answer.SKIP.value:
        return Answer.SKIP
    try:
        ranking = Ranking(tuple(_group(entry) for entry in json.loads(text)))
    except UNREADABLE as error:
        raise BadInput(
            f"{text[:60]!r} is no ranking ({' '.join(str(error).split())[:200]}); name each option once, best first, "
            "such as [2,0,1], or with a tie [2,[0,1]], or say skip"
        ) from error
    if ranking.options != options:
        raise BadInput(f"{text[:60]!r} ranks {ranking.options} options of {options}; name each once, from 0")
    return ranking


def text(answer: Said) -> str:
    """Write what :func:`parse` reads.

    Raises:
        BadInput: If it is neither a ranking nor SKIP.
    """
    if isinstance(answer, Ranking):
        return json.dumps([g[0] if len(g) == 1 else list(g) for g in answer.groups], separators=(",", ":"))
    if answer is Answer.SKIP:
        return Answer.SKIP.value
    raise BadInput(f"{answer!r} is no ranking; use Ranking, or Answer.SKIP")


def answer(worth: Sequence[float]) -> Ranking:
    """Order by worth, the largest first; equal ones are tied."""
    order = sorted(range(len(worth)), key=lambda option: -worth[option])
    return Ranking(tuple(tuple(group) for _, group in groupby(order, lambda option: worth[option])))


def choices(preference: Preference, before: Sequence[Preference] = ()) -> list[Choice]:
    """Make K - 1 choices, each out of the options that weren't placed before."""
    assert isinstance(preference.answer, Ranking)  # noqa: S101
    query = preference.query
    return [
        Choice(tuple(query.options[option] for option in left), target, group=query.original)
        for left, target in _stages(preference.answer)
    ]


def _stages(ranking: Ranking) -> Iterator[tuple[list[int], tuple[float, ...]]]:
    """Yield the options left to choose from, and the target over them, stage by stage."""
    left = list(range(ranking.options))
    for group in ranking.groups:
        last = len(group) == len(left)  # the last group: one choice fewer, as its last option has no alternative
        target = tuple((option in group) / len(group) for option in left)
        yield from [(left, target)] * (len(group) - last)
        left = [option for option in left if option not in group]


def _group(entry: Any) -> tuple[int, ...]:
    group = tuple(entry) if isinstance(entry, list) else (entry,)
    if any(type(option) is not int for option in group):
        raise BadInput(f"{entry!r} is no number of an option")
    return group


RANKING = Kind(range(3, 9), parse, text, answer, choices, seconds=lambda options: 4.0 * (options - 1))
