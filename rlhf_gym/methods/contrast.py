"""The contrastive loss of direct methods: the likelihood of choices, with a conservative bias."""

from __future__ import annotations

import torch
from torch import Tensor

from rlhf_gym.rewards import choice_loss


def contrastive_loss(
    scores: Tensor, targets: Tensor, offered: Tensor, *, bias: float = 1.0, label_noise: float = 0.0
) -> Tensor:
    """Compute the negative log-likelihood of choices, with the other options' scores multiplied by `bias`.

    With bias l, option i is chosen with probability exp(s_i) / (exp(s_i) + sum over j ≠ i of exp(l s_j)), which for two
    options is sigmoid(s_i - l s_j) (the conservative regulariser of Hejna et al. 2024; 1 is no bias, and then it is the
    likelihood itself). If scores are log-probabilities and l is below 1, the loss falls as all of them rise, which
    favours policies that make the seen steps likely. With any other target, such as a tie, the loss is the mean over
    the options as choices, weighted by the target.

    Args:
        scores: Of N choices' K options, shape (N, K).
        targets: Probability with which each was chosen, shape (N, K).
        offered: Whether there is an option, bool, shape (N, K).
        bias: l, above 0, at most 1.
        label_noise: See :func:`rlhf_gym.rewards.choice_loss`.

    Returns:
        Shape (N,).
    """
    n, k = scores.shape
    chosen = torch.eye(k)
    against = scores[:, None, :] * (bias + (1 - bias) * chosen)  # (N, chosen, K)
    losses = choice_loss(
        against.reshape(1, n * k, k), chosen.repeat(n, 1), offered.repeat_interleave(k, dim=0), label_noise=label_noise
    )
    return (targets * losses.reshape(n, k)).sum(dim=1)
