"""Losses and accuracies of a fit."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.left_out import LeftOut
from rlhf_gym.rewards.likelihood import accuracy, choice_loss
from rlhf_gym.rewards.model import RewardModel

SEGMENTS_AT_ONCE = 64  # evaluated in one go, which bounds the memory it takes


class Figures(NamedTuple):
    """Losses and accuracies of a fit."""

    loss: float
    loss_heldout: float
    accuracy: float
    accuracy_heldout: float


@torch.no_grad()
def figures_of_all(model: RewardModel, data: Dataset, some: Tensor, left_out: LeftOut, label_noise: float) -> Figures:
    """Measure training and held-out loss, training and held-out accuracy, of the mean over members.

    Args:
        model: After its fit.
        data: All choices.
        some: Indices of the measured choices, shape (n,).
        left_out: Predictions of held-out choices.
        label_noise: See :func:`rlhf_gym.rewards.likelihood.choice_loss`.
    """
    offered = data.offered[some]
    fitted = torch.zeros(offered.shape)
    rows = data.rows[some][offered]
    at_once = max(1, data.at_once(SEGMENTS_AT_ONCE * (length := data.lived.shape[1])) // length)
    each = [model(data.inputs[part]).mean(dim=0) * data.lived[part] for part in torch.split(rows, at_once)]
    fitted[offered] = torch.cat(each).sum(dim=-1)
    pairs = [(some, fitted), (left_out.choices, left_out.returns)]
    losses, accuracies = [], []
    for choices, returns in pairs:
        about = (data.surely(returns, choices)[None], data.targets[choices], data.offered[choices])
        weights = data.weight(choices)
        losses.append(_mean(choice_loss(*about, label_noise=label_noise), weights).item())
        accuracies.append(_mean(accuracy(*about), weights).item())
    return Figures(losses[0], losses[1], accuracies[0], accuracies[1])


def figures_of_members(data: Dataset, some: Tensor, returns: Tensor, weights: Tensor, label_noise: float) -> Figures:
    """Measure the same of each network, and average over networks; nan where there is nothing to measure.

    Args:
        data: All choices.
        some: Indices of the measured choices, shape (n,).
        returns: Returns of their options by each network, shape (M, n, K).
        weights: Of each choice in each network's loss, shape (M, n).
        label_noise: See :func:`rlhf_gym.rewards.likelihood.choice_loss`.
    """
    targets, offered, returns = data.targets[some], data.offered[some], data.surely(returns, some)
    measured = choice_loss(returns, targets, offered, label_noise=label_noise), accuracy(returns, targets, offered)
    heldout = (weights == 0) * data.weight(some)
    figures = [_mean(values, w).nanmean().item() for values in measured for w in (weights, heldout)]
    return Figures(*figures)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Compute each member's weighted mean, nan where a member has no weight, shape (M,)."""
    return (values * weights).sum(dim=1) / weights.sum(dim=-1)
