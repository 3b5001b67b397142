"""Choices that the order of a list implies besides its answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from rlhf_gym.preferences import Choice, Preference
from rlhf_gym.queries.ranked_list import INSERTION, RankedList, list_name, ranked_lists

WEIGHTS = ("answers", "pairs")


def with_implied(preferences: Sequence[Preference], choices: Sequence[Choice], *, weigh: str) -> list[Choice]:
    """Add a choice for each pair whose order follows from comparisons with others.

    A pair that follows from an answer must not be fitted to while that answer is held out, so all choices of a list are
    one group.

    Args:
        preferences: Answers so far.
        choices: Choices that each answer implies by itself, and any others.
        weigh: "answers": a list counts as much as the answers in it, spread evenly over its pairs. "pairs": each of
            its pairs counts as much as an answer.

    Returns:
        The given choices in the same order, those of lists regrouped and reweighted, then the implied ones.
    """
    lists = ranked_lists(preferences)
    of_query = {p.query.id: list_name(p.query) for p in preferences if p.query.why == INSERTION}
    told: dict[str, list[Choice]] = defaultdict(list)
    for choice in choices:
        if name := of_query.get(choice.group):
            told[name].append(choice)
    weights = {name: _weight(len(said), len(lists[name].implied), weigh) for name, said in told.items()}
    regrouped = [_of_list(choice, of_query.get(choice.group), weights) for choice in choices]
    return regrouped + [choice for name in told for choice in _implied(lists[name], told[name], weights[name])]


def _weight(answers: int, implied: int, weigh: str) -> float:
    """Compute the weight of each choice of a list."""
    return answers / (answers + implied) if weigh == "answers" else 1.0


def _of_list(choice: Choice, name: str | None, weights: dict[str, float]) -> Choice:
    return choice if name is None else replace(choice, group=name, weight=choice.weight * weights[name])


def _implied(ranked: RankedList, told: Sequence[Choice], weight: float) -> list[Choice]:
    """Make a choice for each implied pair of a list."""
    people = {choice.teacher for choice in told}
    teacher = people.pop() if len(people) == 1 else ""
    return [
        Choice(
            (ranked.segments[i], ranked.segments[j]),
            (0.5, 0.5) if ranked.tied[i, j] else (1.0, 0.0) if ranked.better[i, j] else (0.0, 1.0),
            group=ranked.name,
            weight=weight,
            teacher=teacher,
        )
        for i, j in ranked.implied
    ]
