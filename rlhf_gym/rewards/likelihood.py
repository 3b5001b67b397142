"""The likelihood of answers, given learned rewards."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def choice_loss(returns: Tensor, targets: Tensor, offered: Tensor, *, label_noise: float = 0.0) -> Tensor:
    """Compute the negative log-likelihood of Boltzmann choices (Luce 1959; Jeon, Milli & Dragan 2020).

    An option is chosen with probability proportional to the exponential of its return, which for two options is
    Bradley & Terry 1952 as Christiano et al. 2017 use it (eq. 1). With `label_noise` e the teacher is assumed to choose
    at random with probability e, P' = (1 - e) P + e / K, which limits the loss of one wrong answer (their section
    2.2.3, e = 0.1).

    Args:
        returns: Undiscounted learned returns of N choices' K options, shape (M, N, K).
        targets: Probability with which each option was chosen, shape (N, K); 0 where none was offered.
        offered: Whether there is an option, bool, shape (N, K): choices of fewer than K are padded.
        label_noise: e, from 0 to 1.

    Returns:
        Shape (M, N).
    """
    if not offered.all():
        returns = returns.masked_fill(~offered, torch.finfo(returns.dtype).min)  # not -inf: 0 times it is nan
    if returns.shape[-1] == 2 and label_noise == 0:  # the same as below up to rounding, in half the time
        log_odds = returns[..., 0] - returns[..., 1]
        return F.binary_cross_entropy_with_logits(log_odds, targets[:, 0].expand_as(log_odds), reduction="none")
    log_probabilities = F.log_softmax(returns, dim=-1)
    if label_noise > 0:
        honest = math.log1p(-label_noise) if label_noise < 1 else -math.inf
        at_random = (label_noise / offered.sum(dim=-1, keepdim=True)).log()
        log_probabilities = torch.logaddexp(honest + log_probabilities, at_random)
    return -(targets * log_probabilities).sum(dim=-1)


def smooth(targets: Tensor, offered: Tensor, by: float) -> Tensor:
    """Smooth labels by mixing each answer with the uniform distribution over its options.

    The fitted logit of two options is then at most log((2 - e) / e) (Szegedy et al. 2016, section 7). The preference
    margin of STAR (2025; its preprint, SEER of 2024, calls it label smoothing) is the same: its targets 1 - m and m,
    which bound the logit by log((1 - m) / m), are those of e = 2 m. It takes m = 0.05, that is e = 0.1, and reports 17
    to 18 % more return on cheetah-run with 100 labels, under SAC. From 50 errorless answers, networks alone learn less
    with it (:mod:`rlhf_gym.rewards.more`).

    Args:
        targets: Probability with which each option was chosen, shape (N, K).
        offered: Whether there is an option, bool, shape (N, K).
        by: e, from 0 to 1; 0 leaves the targets.
    """
    if not by:
        return targets
    return (1 - by) * targets + by * offered / offered.sum(dim=1, keepdim=True)


def accuracy(returns: Tensor, targets: Tensor, offered: Tensor) -> Tensor:
    """Compute the probability of each answer under a model that picks the highest return, at random among equals.

    Args:
        returns: Shape (M, N, K), as :func:`choice_loss` takes it.
        targets: Shape (N, K).
        offered: Shape (N, K).

    Returns:
        Shape (M, N): for two options 1 or 0, and one half for a tie or equal returns.
    """
    returns = returns.masked_fill(~offered, -math.inf)
    best = (returns == returns.amax(dim=-1, keepdim=True)) & offered
    return (targets * best).sum(dim=-1) / best.sum(dim=-1)
