"""Disagreement: whether the members differ where the learned reward is wrong."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.rewards.metrics.metric import OfJudged, TooFew
from rlhf_gym.rewards.metrics.spearman import rank_correlation
from rlhf_gym.segments import Array

Where = Literal["anywhere", "inside", "outside"]
LEAST = 20
ROUNDING = 1e-9


def disagreement(where: Where = "anywhere") -> OfJudged:
    """Spearman's correlation of the members' disagreement about a step with the error of its learned reward.

    Disagreement is the standard deviation over members, each standardised over the judged steps. The error is the
    absolute residual after the learned reward is scaled and shifted to fit the true one by least squares.

    Args:
        where: Which steps to measure: inside or outside the labelled ones' coverage (:mod:`.coverage`), or all.

    Returns:
        1 if disagreement ranks the errors perfectly, 0 if it is unrelated to them.

    Raises:
        BadInput: If `where` is none of these.
    """
    if where not in get_args(Where):
        raise BadInput(f"disagreement got where {where!r}; use one of {', '.join(get_args(Where))}")
    name = "disagreement" if where == "anywhere" else f"disagreement {where} coverage"

    def metric(judged: Judged) -> float:
        if (members := len(judged.member_rewards)) < 2:
            raise TooFew(name, 2, "members", members, "use a larger reward.ensemble_size")
        spread, wrong = _spread(judged.member_rewards), errors(*judged.step_rewards)
        if where != "anywhere":
            covered = judged.covered
            chosen = covered.chosen[covered.outside == (where == "outside")]
            spread, wrong = spread[chosen], wrong[chosen]
        if len(wrong) < LEAST:
            raise TooFew(name, LEAST, "steps there", len(wrong))
        return rank_correlation(spread, wrong)

    return metric


def errors(learned: Array, true: Array) -> Array:
    """Compute the absolute errors of the learned reward after scaling and shifting it to fit, shape (S,)."""
    apart = learned - learned.mean()
    slope = apart @ true / max(float(apart @ apart), 1e-300)
    off = np.abs(true - true.mean() - slope * apart)
    return np.asarray(np.where(off > ROUNDING * np.abs(true).max(), off, 0.0))


def _spread(members: Array) -> Array:
    """Compute the standard deviation over members, each standardised, shape (S,)."""
    mean, std = members.mean(axis=1, keepdims=True), members.std(axis=1, keepdims=True)
    return np.asarray(((members - mean) / np.where(std > 0, std, 1)).std(axis=0))
