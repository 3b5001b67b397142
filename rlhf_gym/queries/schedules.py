"""How many labels each round may ask for. Every schedule spends its budget exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlhf_gym.segments import Array


def constant(labels: int, steps: Array, *, first_fraction: float, halving_steps: float) -> list[int]:
    """The same number of labels every round; the other arguments aren't used."""
    return apportion(labels, np.ones(len(steps)))


def christiano(labels: int, steps: Array, *, first_fraction: float, halving_steps: float) -> list[int]:
    """A share before any policy update, then a rate that decays as h / (t + h) (Christiano et al. 2017, A.1).

    Args:
        labels: Budget.
        steps: Environment steps done when each round begins, shape (rounds,).
        first_fraction: Share of the first round (0.25 in the paper).
        halving_steps: h, environment steps after which the rate has halved (2e6 in the paper).

    Returns:
        Labels of each round; they sum to `labels`.
    """
    if len(steps) == 1:
        return [labels]
    first = round(labels * first_fraction)
    return [first, *apportion(labels - first, halving_steps / (steps[1:] + halving_steps))]


def apportion(labels: int, weights: Array) -> list[int]:
    """Whole numbers proportional to `weights` that sum to `labels`, as even as can be at every point in time."""
    cumulative = np.cumsum(weights) / np.sum(weights)
    return [int(n) for n in np.diff(np.floor(cumulative * labels + 0.5), prepend=0)]


SCHEDULES: dict[str, Callable[..., list[int]]] = {"constant": constant, "christiano": christiano}
