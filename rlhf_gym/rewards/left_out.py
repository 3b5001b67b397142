"""Options' returns predicted from the other answers, by which a reward's parts are weighed and its zero is set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.rewards.stacking import stacked


class Foretold(NamedTuple):
    """Returns that one part of a reward predicts for the options of choices it wasn't fitted to."""

    returns: Tensor
    """Shape (n, K)."""
    known: Tensor
    """Which of the choices have a prediction, bool, shape (n,)."""


class LeftOut(NamedTuple):
    """Returns that the whole reward predicts for the options of choices it wasn't fitted to."""

    choices: Tensor
    """Indices of the choices that all parts predict, shape (m,)."""
    returns: Tensor
    """Shape (m, K)."""


def by_linear(returns: Tensor) -> Foretold:
    """Wrap a linear part's leave-one-out returns, shape (n, K), which are known for all choices."""
    return Foretold(returns, torch.ones(len(returns), dtype=torch.bool))


def by_networks(returns: Tensor, weights: Tensor) -> Foretold:
    """Average each choice's returns over the networks that hold it out.

    Args:
        returns: Returns by each network, shape (M, n, K).
        weights: Of each choice in each network's loss, shape (M, n); where it is 0, the choice is held out.
    """
    heldout = (weights == 0).float()
    holders = heldout.sum(dim=0)
    mean = (returns * heldout[..., None]).sum(dim=0) / holders.clamp_min(1)[:, None]
    return Foretold(mean, holders > 0)


def weigh(model: RewardModel, data: Dataset, some: Tensor, parts: Sequence[Foretold], *, calibrate: bool) -> LeftOut:
    """Set the shares of a model's parts, and combine their predictions.

    Args:
        model: Its shares are changed in place.
        data: All choices.
        some: Indices of the choices that the parts predict, shape (n,).
        parts: In order: linear part, networks; one of them may be missing.
        calibrate: Whether to fit the shares to the predictions; otherwise all are 1.
    """
    known = torch.stack([part.known for part in parts]).all(dim=0)
    choices, returns = some[known], torch.stack([part.returns[known] for part in parts])
    shares = torch.ones(len(parts))
    if calibrate and len(choices):
        expected = np.array([1.0, 0.0])[: len(parts)]  # networks have to prove that they add something
        returned, targets = data.surely(returns, choices), data.targets[choices]
        found = stacked(returned, targets, data.offered[choices], data.weight(choices), expected)
        shares = torch.from_numpy(found).float()
    model.shares.copy_(shares.expand(2))  # the share of a missing part is never used
    return LeftOut(choices, (shares[:, None, None] * returns).sum(dim=0))
