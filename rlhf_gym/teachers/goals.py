"""Goals: a teacher's reward function, written in Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rlhf_gym.errors import BadInput
from rlhf_gym.registry import load
from rlhf_gym.segments import Array

Goal = Callable[[Array, Array, Array], Array]
"""A function of observations (S, *obs), actions (S, *act) and next observations (S, *obs), as the environment gave
them, that returns one reward per step, shape (S,). The S steps are a flat batch: a goal must not look from one step
to another."""


def load_goal(name: str) -> Goal:
    """The built-in goal of that name (:mod:`rlhf_gym.teachers.builtin_goals`), or what `module:function` names.

    Raises:
        BadInput: If the name is malformed or unknown, the module can't be imported, or it holds no such function.
    """
    goal: Goal = load("feedback.goal", name)
    if not callable(goal):
        raise BadInput(
            f"feedback.goal is {name!r}, which is {goal!r}; expected a function of (observations, actions, "
            "next_observations)"
        )
    return goal


def goal_rewards(
    goal: Goal,
    observations: Array,
    actions: Array,
    next_observations: Array,
    *,
    step_name: Callable[[int], str] = "step {}".format,
) -> NDArray[np.float64]:
    """What a goal gives for S steps, checked.

    Args:
        goal: The function; it sees the arrays read-only.
        observations: Shape (S, *obs).
        actions: Shape (S, *act).
        next_observations: Shape (S, *obs).
        step_name: What to call a step in an error message.

    Returns:
        Rewards in the goal's own unit, shape (S,).

    Raises:
        BadInput: If the goal returns another shape, something other than real numbers, or NaN or infinity.
    """
    steps, name = len(actions), getattr(goal, "__name__", repr(goal))
    rewards = np.asarray(goal(_read_only(observations), _read_only(actions), _read_only(next_observations)))
    if rewards.shape != (steps,) or rewards.dtype.kind not in "biuf":
        raise BadInput(
            f"goal {name} returned {rewards.dtype} of shape {rewards.shape} for {steps} steps; "
            f"expected one real number per step, shape ({steps},)"
        )
    return finite(rewards, f"goal {name} gives", step_name)


def finite(rewards: Array, who_gives: str, step_name: Callable[[int], str]) -> NDArray[np.float64]:
    """`rewards` in double precision, shape (S,); NaN or infinity is refused by the name of its step."""
    bad = np.flatnonzero(~np.isfinite(rewards))
    if bad.size:
        raise BadInput(
            f"{who_gives} {rewards[bad[0]]} for {step_name(int(bad[0]))}; rewards must be finite, or sums can't be "
            f"compared: mend what computes them"
        )
    return rewards.astype(np.float64)


def _read_only(array: Array) -> Array:
    view = np.asarray(array).view()
    view.setflags(write=False)
    return view
