"""Goals: what a behaviour is worth by someone's own lights, written as a Python function."""

from __future__ import annotations

import difflib
import importlib
import operator
import os
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rlhf_gym.segments import Array
from rlhf_gym.teachers.builtin_goals import GOALS

Goal = Callable[[Array, Array, Array], Array]
"""A function of observations (S, *obs), actions (S, *act) and next observations (S, *obs), as the environment gave
them, that returns one reward per step, shape (S,). The S steps are a flat batch: a goal must not look from one step
to another."""


def load_goal(spec: str) -> Goal:
    """The built-in goal of that name (:mod:`rlhf_gym.teachers.builtin_goals`), or what `module:function` names.

    The current folder is searched last, after everything that is installed.

    Raises:
        ValueError: If the name is malformed or unknown, the module can't be imported, or it holds no such function.
    """
    if spec in GOALS:
        return GOALS[spec]
    module_name, _, name = spec.partition(":")
    parts = [*module_name.split("."), *name.split(".")]
    if module_name.endswith(".py") or not all(part.isidentifier() for part in parts):
        near = difflib.get_close_matches(spec, GOALS, n=1)
        raise ValueError(
            f"goal is {spec!r}; {f'did you mean {near[0]}? ' if near else ''}expected module:function, such as "
            f"my_goals:stay_left for my_goals.py, or a built-in goal: {', '.join(GOALS)}"
        )
    if os.getcwd() not in sys.path:  # an installed command, unlike `python -m`, doesn't look where it is started
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"goal is {spec!r} but there is no module {error.name!r}; install it, or start from the folder it lies in"
        ) from error
    except Exception as error:  # whatever somebody's module does while it is imported
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"goal is {spec!r} but importing {module_name!r} fails: {reason}; mend the module") from error
    try:
        goal: Goal = operator.attrgetter(name)(module)
    except AttributeError as error:
        there = ", ".join(key for key, value in vars(module).items() if callable(value) and key[0] != "_")
        raise ValueError(f"goal is {spec!r} but {module_name!r} has no {name!r}; it has: {there or 'none'}") from error
    if not callable(goal):
        raise ValueError(
            f"goal is {spec!r}, which is {goal!r}; expected a function of (observations, actions, next_observations)"
        )
    return goal


class NotFinite(ValueError):
    """A reward that is NaN or infinite.

    Args:
        gives: Who gives what, such as "the environment gives nan".
        step: For which step: of all, or of its segment.
        segment: Of which segment, by number; None where there is but one row of steps.
    """

    def __init__(self, gives: str, step: int, segment: int | None = None) -> None:
        self.gives, self.step = gives, step
        self.segment = segment or 0
        super().__init__(self.told(None if segment is None else f"segment {segment}"))

    def told(self, where: str | None) -> str:
        """The message, with the segment called by another name."""
        of = "" if where is None else f" of {where}"
        return (
            f"{self.gives} for step {self.step}{of}; rewards must be finite, or sums can't be compared: mend what "
            "computes them"
        )


def goal_rewards(goal: Goal, observations: Array, actions: Array, next_observations: Array) -> NDArray[np.float64]:
    """What a goal gives for S steps, checked.

    Args:
        goal: The function; it sees the arrays read-only.
        observations: Shape (S, *obs).
        actions: Shape (S, *act).
        next_observations: Shape (S, *obs).

    Returns:
        Rewards in the goal's own unit, shape (S,).

    Raises:
        NotFinite: If the goal returns NaN or infinity.
        ValueError: If the goal returns another shape, or something other than real numbers.
    """
    steps, name = len(actions), getattr(goal, "__name__", repr(goal))
    rewards = np.asarray(goal(_read_only(observations), _read_only(actions), _read_only(next_observations)))
    if rewards.shape != (steps,) or rewards.dtype.kind not in "biuf":
        raise ValueError(
            f"goal {name} returned {rewards.dtype} of shape {rewards.shape} for {steps} steps; "
            f"expected one real number per step, shape ({steps},)"
        )
    return finite(rewards, f"goal {name} gives")


def finite(rewards: Array, who_gives: str) -> NDArray[np.float64]:
    """`rewards` in double precision, shape (S,); NaN or infinity is refused by the number of its step."""
    bad = np.flatnonzero(~np.isfinite(rewards))
    if bad.size:
        raise NotFinite(f"{who_gives} {rewards[bad[0]]}", int(bad[0]))
    return rewards.astype(np.float64)


def _read_only(array: Array) -> Array:
    view = np.asarray(array).view()
    view.setflags(write=False)
    return view
