"""Goals: a teacher's reward function, written in Python."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rlhf_gym.errors import BadInput, place_of, reason_of
from rlhf_gym.registry import load
from rlhf_gym.segments import Array

Goal = Callable[[Array, Array, Array], Array]
"""A function of observations (S, *obs), actions (S, *act) and next observations (S, *obs), as the environment gave
them, that returns one reward per step, shape (S,). The S steps are a flat batch: a goal must not look from one step
to another."""


def load_goal(name: str) -> Goal:
    """Load the built-in goal of that name (:mod:`rlhf_gym.teachers.builtin_goals`), or a `module:function`.

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


class NotFinite(BadInput):
    """A reward that is NaN or infinite.

    Args:
        gives: Who gives what, such as "the environment gives nan".
        step: Index of the step, among all or in its segment.
        segment: Index of the segment; None if the steps aren't split into segments.
    """

    def __init__(self, gives: str, step: int, segment: int | None = None) -> None:
        self.gives, self.step = gives, step
        self.segment = segment or 0
        super().__init__(self.told(None if segment is None else f"segment {segment}"))

    def told(self, where: str | None) -> str:
        """Write the message with a name for the segment; None names none."""
        of = "" if where is None else f" of {where}"
        return (
            f"{self.gives} for step {self.step}{of}; rewards must be finite, or sums can't be compared: mend what "
            "computes them"
        )


def goal_rewards(goal: Goal, observations: Array, actions: Array, next_observations: Array) -> NDArray[np.float64]:
    """Compute a goal's rewards of S steps, and check them.

    Args:
        goal: The function; it sees the arrays read-only.
        observations: Shape (S, *obs).
        actions: Shape (S, *act).
        next_observations: Shape (S, *obs).

    Returns:
        Rewards in the goal's own unit, shape (S,).

    Raises:
        NotFinite: If the goal returns NaN or infinity.
        BadInput: If the goal returns another shape, or something other than real numbers, or raises an error.
    """
    steps, name = len(actions), getattr(goal, "__name__", repr(goal))
    try:
        rewards = np.asarray(goal(_read_only(observations), _read_only(actions), _read_only(next_observations)))
    except BadInput:
        raise
    except Exception as error:  # a goal of the user's own may raise anything
        raise BadInput(
            f"goal {name} raised {reason_of(error)} at {place_of(error)}; expected a function of observations, actions "
            f"and next observations, each an array of {steps} steps: mend the goal"
        ) from error
    if rewards.shape != (steps,) or rewards.dtype.kind not in "biuf":
        raise BadInput(
            f"goal {name} returned {rewards.dtype} of shape {rewards.shape} for {steps} steps; "
            f"expected one real number per step, shape ({steps},)"
        )
    return finite(rewards, f"goal {name} gives")


def finite(rewards: Array, who_gives: str) -> NDArray[np.float64]:
    """Return `rewards` in double precision, shape (S,); raise NotFinite with the step if one is NaN or infinite."""
    bad = np.flatnonzero(~np.isfinite(rewards))
    if bad.size:
        raise NotFinite(f"{who_gives} {rewards[bad[0]]}", int(bad[0]))
    return rewards.astype(np.float64)


def _read_only(array: Array) -> Array:
    view = np.asarray(array).view()
    view.setflags(write=False)
    return view
