"""Check that imported preferences can be fitted with others, before any of them is stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Preference, Query, Shown
from rlhf_gym.segments import Array, Segment

Shapes = tuple[tuple[int, ...], tuple[int, ...]]
"""Shapes of an observation, and of an action."""


@dataclass(frozen=True)
class Wanted:
    """Requirements for preferences; without `shapes`, those of the first segment; what else is None isn't checked.

    Args:
        whose: Who has them, for messages, such as "the run's environment, CartPole-v1,".
        shapes: Shapes of an observation, and of an action.
        length: Steps of a segment.
        env_id: The environment of those segments that name one.
        actions: The space of actions, checked if it is discrete.
    """

    whose: str = "the first one"
    shapes: Shapes | None = None
    length: int | None = None
    env_id: str | None = None
    actions: Space[Any] | None = None


def wanted_by_run(
    env_id: str, observation_space: Space[Any], action_space: Space[Any], length: int | None = None
) -> Wanted:
    """Make the requirements of a run."""
    shapes = (tuple(observation_space.shape or ()), tuple(action_space.shape or ()))
    return Wanted(f"the run's environment, {env_id},", shapes, length, env_id, action_space)


def wanted_by_others(queries: Sequence[Query]) -> Wanted:
    """Make the requirements of a store from its first query; without queries, there are none."""
    if not queries:
        return Wanted()
    option = queries[0].options[0]
    env_id = option.origin.env_id if option.origin else None
    return Wanted("the store", _shapes(option), option.length, env_id)


def check_fit(preferences: Iterable[Preference], wanted: Wanted) -> int:
    """Refuse preferences that a reward model can't be fitted to together with those that are stored.

    Args:
        preferences: In order.
        wanted: Their requirements.

    Returns:
        Number of preferences.

    Raises:
        BadInput: Naming the first that doesn't fit, by its number and id, and why.
    """
    number = 0
    for number, preference in enumerate(preferences, start=1):
        query, answer = preference.query, preference.answer
        named = [(f"option {i}", option) for i, option in enumerate(query.options, start=1)]
        if isinstance(answer, Shown):
            named.append(("the segment that was shown", answer.segment))
        for name, segment in named:
            if wrong := _wrong(segment, wanted):
                raise BadInput(f"preference {number}, query {query.id!r}: {name} {wrong}")
            if wanted.shapes is None:
                wanted = Wanted("the first one", _shapes(segment), segment.length)
    return number


def _wrong(segment: Segment, wanted: Wanted) -> str:
    """Say what is wrong with a segment; "" if nothing is."""
    for name in ("observations", "actions"):
        array: Array = np.asarray(getattr(segment, name))
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            step = int(np.argwhere(~np.isfinite(array))[0][0])
            return f"has NaN or infinity among its {name}, at step {step}; leave the query out"
    remedy = "keep each environment, and each length, to a run and a store of its own"
    if wanted.shapes and (came := _shapes(segment)) != wanted.shapes:
        return (
            f"has observations and actions of shapes {came[0]} and {came[1]}, and {wanted.whose} has "
            f"{wanted.shapes[0]} and {wanted.shapes[1]}; {remedy}"
        )
    if wanted.length is not None and segment.length != wanted.length:
        return f"has {segment.length} steps, and {wanted.whose} has segments of {wanted.length}; {remedy}"
    env_id = segment.origin.env_id if segment.origin else None
    if env_id and wanted.env_id and _bare(env_id) != _bare(wanted.env_id):
        return f"was recorded in {env_id}, and {wanted.whose} is {wanted.env_id}; {remedy}"
    return _wrong_actions(segment.actions, wanted.actions, wanted.whose)


def _wrong_actions(actions: Array, space: Space[Any] | None, whose: str) -> str:
    if isinstance(space, spaces.Discrete):
        whole, end = actions.dtype.kind in "iu", space.start + space.n
        if not whole or (actions.size and (actions.min() < space.start or actions.max() >= end)):
            return f"has actions other than whole numbers from {space.start} to {end - 1}, which {whose} takes"
    return ""


def _shapes(segment: Segment) -> Shapes:
    return segment.observations.shape[1:], segment.actions.shape[1:]


def _bare(env_id: str) -> str:
    """Return an environment's id without the module that registers it."""
    return env_id.rpartition(":")[2]
