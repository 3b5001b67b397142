"""How probable an answer is, given learned rewards."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def preference_logits(left: Tensor, right: Tensor) -> Tensor:
    """Log-odds that left is preferred (Bradley & Terry 1952; Christiano et al. 2017, eq. 1).

    Args:
        left: Learned rewards of the left segments, zero after termination, shape (..., N, T).
        right: Same for the right segments.

    Returns:
        Difference of undiscounted sums, shape (..., N).
    """
    return left.sum(dim=-1) - right.sum(dim=-1)


def preference_loss(logits: Tensor, targets: Tensor, *, random_share: float = 0.0) -> Tensor:
    """Negative log-likelihood of each answer.

    With `random_share` e the teacher is taken to answer at random with probability e, P' = (1 - e) P + e / 2, which
    caps what one wrong answer can cost (Christiano et al. 2017, section 2.2.3, e = 0.1).

    Args:
        logits: Log-odds that left is preferred, shape (..., N).
        targets: 1 for left, 0 for right, 0.5 for a tie, shape broadcastable to the logits.
        random_share: e, from 0 to 1.

    Returns:
        Shape of `logits`.
    """
    targets = targets.expand_as(logits)
    if random_share == 0:
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    honest = math.log1p(-random_share) if random_share < 1 else -math.inf
    by_chance = torch.tensor(math.log(random_share / 2))
    left = torch.logaddexp(honest + F.logsigmoid(logits), by_chance)
    right = torch.logaddexp(honest + F.logsigmoid(-logits), by_chance)
    return -(targets * left + (1 - targets) * right)


def agreement(logits: Tensor, targets: Tensor) -> Tensor:
    """Whether each answer is the model's own: 1, 0; for a tie, or a logit of exactly 0, one half.

    Args:
        logits: Shape (..., N).
        targets: Shape broadcastable to the logits.

    Returns:
        Shape of `logits`; its mean is the accuracy.
    """
    return 0.5 + 0.5 * torch.sign(logits) * (2 * targets - 1)
