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
"""(learned rewards of each trajectory's steps, the true ones, each of shape (L,)) -> a number; nan where it is
undefined."""
OfJudged = Callable[[Judged], float]
"""Everything known about the trajectories and both rewards -> a number; likewise."""


class TooFew(BadInput):
    """Raised where there is too little data for a metric.

    Args:
        metric: Its name.
        least: How many of `what` it needs.
        what: Name of what is counted, such as "steps".
        got: How many there are.
        remedy: What to do.
    """

    def __init__(self, metric: str, least: int, what: str, got: int, remedy: str = "play more episodes") -> None:
        super().__init__(f"{metric} needs at least {least} {what} and got {got}; {remedy}")


def make_metric(name: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """Make a metric by its name.

    Raises:
        BadInput: If there is no such metric, it has no such option, or its factory doesn't return a function.
    """
    metric: Callable[..., Any] = make("metric", name, options)
    check_is("metric", name, metric, Callable, "a function of the learned and the true rewards, or of a Judged")
    return metric


def measure(metric: Callable[..., Any], judged: Judged) -> float:
    """Call a metric with the learned and the true rewards, or with `judged` if it takes one argument.

    Raises:
        BadInput: If the metric can't be computed.
    """
    if len(inspect.signature(metric).parameters) == 1:
        return float(metric(judged))
    return float(metric(judged.learned, judged.true))
