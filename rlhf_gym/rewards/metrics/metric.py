"""What a metric of a learned reward is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rlhf_gym.errors import BadInput
from rlhf_gym.registry import check_is, make
from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.segments import Array

OfRewards = Callable[[Sequence[Array], Sequence[Array]], float]
"""(learned rewards of each trajectory's steps, the true ones, each of shape (L,)) -> a number; nan where there is
nothing to tell it from."""
OfJudged = Callable[[Judged], float]
"""All that is known of the trajectories and both rewards -> a number; likewise."""


class TooFew(BadInput):
    """A metric was asked for with too little to tell it from.

    Args:
        metric: Its name.
        least: How many it needs.
        what: Of what.
        got: How many there are.
        remedy: What to do.
    """

    def __init__(self, metric: str, least: int, what: str, got: int, remedy: str = "play more episodes") -> None:
        super().__init__(f"{metric} needs at least {least} {what} and got {got}; {remedy}")


def make_metric(name: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Make a metric by its name.

    Raises:
        BadInput: If there is none, an option isn't its own, or what it gives can't be called.
    """
    metric: Callable[..., Any] = make("metric", name, options)
    check_is("metric", name, metric, Callable, "a function of the learned and the true rewards, or of a Judged")
    return metric


def measure(metric: Callable[..., Any], judged: Judged) -> float:
    """Call a metric with what it takes: the learned and the true rewards, or, if it takes one argument, everything.

    Raises:
        BadInput: If the metric can't be told.
    """
    if len(inspect.signature(metric).parameters) == 1:
        return float(metric(judged))
    return float(metric(judged.learned, judged.true))
