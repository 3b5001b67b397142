"""Quality of the reward model, by the answers to held-out queries."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import log_expit, logsumexp

from rlhf_gym.preferences import HELDOUT, Answer, Preference, Ranking
from rlhf_gym.quality.agreement import pairs
from rlhf_gym.queries import StepScores, returns_of
from rlhf_gym.segments import Array

MOST = 1024  # queries, evenly spread: more would cost time and change the figures by less than chance


def heldout_figures(
    preferences: Sequence[Preference], step_scores: StepScores, by_teacher: Mapping[str, StepScores] | None = None
) -> dict[str, float]:
    """Compute loss and accuracy of a reward model on the answers to held-out queries, which were drawn uniformly.

    An answer counts as its pairwise judgements: one for a comparison, k (k - 1) / 2 for a ranking of k options. They
    sample only what the policy visited at the time of asking.

    Args:
        preferences: Answers, such as a run's; skips and answers to other queries are left out.
        step_scores: Scores of steps by each ensemble member.
        by_teacher: Scores that predict the answers of each teacher, where each has a reward of their own; answers of
            other teachers are left out. None predicts all by `step_scores`.

    Returns:
        `reward_loss_uniform`, the mean negative log of the members' mean probability, and `reward_accuracy_uniform`,
        how often their mean return prefers the same option, ties of either as one half; nan without judgements.
    """
    heldout = [p for p in preferences if p.query.why == HELDOUT and p.answer is not Answer.SKIP]
    heldout = [p for p in heldout if isinstance(p.answer, Answer | Ranking)]  # others aren't about pairs
    if by_teacher is not None:
        heldout = [p for p in heldout if p.teacher in by_teacher]
    if not heldout:
        return {"reward_loss_uniform": math.nan, "reward_accuracy_uniform": math.nan}
    some = np.linspace(0, len(heldout) - 1, min(len(heldout), MOST)).round().astype(int)
    together: defaultdict[str, list[Preference]] = defaultdict(list)
    for i in some:
        together[heldout[i].teacher if by_teacher else ""].append(heldout[i])
    scores = by_teacher or {"": step_scores}
    judged = [_judgements(alike, scores[teacher]) for teacher, alike in together.items()]
    ahead, targets = (np.concatenate(parts, axis=-1) for parts in zip(*judged, strict=True))
    logs = [logsumexp(log_expit(sign * ahead), axis=0) - math.log(len(ahead)) for sign in (1, -1)]
    given = np.heaviside(ahead.mean(axis=0), 0.5)
    return {
        "reward_loss_uniform": float(-np.mean(targets * logs[0] + (1 - targets) * logs[1])),
        "reward_accuracy_uniform": float(np.mean(targets * given + (1 - targets) * (1 - given))),
    }


def _judgements(preferences: Sequence[Preference], step_scores: StepScores) -> tuple[Array, Array]:
    """Compute each member's return of the first option minus the other, shape (M, J), and the targets, shape (J,)."""
    returns, first, judged = returns_of([p.query for p in preferences], step_scores), 0, []
    for preference in preferences:
        options = len(preference.query.options)
        judged += [(first + i, first + j, said.target) for (i, j), said in pairs(preference.answer, options).items()]
        first += options
    one, other, targets = (np.array(column) for column in zip(*judged, strict=True))
    return returns[:, one] - returns[:, other], targets
