"""A check of whether a fit predicts answers worse than the one before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rlhf_gym.preferences import Choice
from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.left_out import LeftOut
from rlhf_gym.rewards.likelihood import choice_loss

LEAST, ERRORS, WORSE = 10, 3.0, 0.02  # least answers, standard errors and nats for a warning


def heldout_losses(left_out: LeftOut, choices: Sequence[Choice], data: Dataset) -> dict[str, float]:
    """Compute the held-out negative log-likelihood of each group's last choice.

    Args:
        left_out: The fit's predictions of options' returns without their own choice.
        choices: N choices.
        data: The same choices as arrays.
    """
    some = left_out.choices
    returns = data.surely(left_out.returns, some)[None]
    losses = choice_loss(returns, data.targets[some], data.offered[some])[0]
    return dict(zip([choices[i].group for i in some.tolist()], losses.tolist(), strict=True))


def verdict(now: Mapping[str, float], before: Mapping[str, float]) -> str:
    """Return a warning if the answers held out of both fits are predicted worse than before; otherwise "".

    Args:
        now: Losses by group, from :func:`heldout_losses`.
        before: Likewise, of the fit before.
    """
    both = [group for group in now if group in before]
    if len(both) < LEAST:
        return ""
    new, old = (np.array([losses[group] for group in both]) for losses in (now, before))
    if not (new - old).mean() > max(WORSE, ERRORS * (new - old).std(ddof=1) / np.sqrt(len(both))):
        return ""
    return (
        f"the reward model foretells {len(both)} held-out answers worse than the fit before: loss {new.mean():.3f}, it "
        f"was {old.mean():.3f}"
    )
