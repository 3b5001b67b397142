"""What options are worth by the other answers: how a reward's parts are weighed, and what its zero is taken from."""

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
    """What one part of a reward gives the options of choices that it wasn't fitted to."""

    returns: Tensor
    """Shape (n, K)."""
    known: Tensor
    """Which of the choices there is something for, bool, shape (n,)."""


class LeftOut(NamedTuple):
    """What the reward as a whole gives them."""

    choices: Tensor
    """Numbers of the choices that all parts know, shape (m,)."""
    returns: Tensor
    """Shape (m, K)."""


def by_linear(returns: Tensor) -> Foretold:
    """Take what a linear part gives each option without its own choice, shape (n, K): it is known of all."""
    return Foretold(returns, torch.ones(len(returns), dtype=torch.bool))


def by_networks(returns: Tensor, weights: Tensor) -> Foretold:
    """Average what those networks give that hold a choice out.

    Args:
        returns: Of each network, shape (M, n, K).
        weights: Of each choice in each network's loss, shape (M, n); where it is 0, the choice is held out.
    """
    heldout = (weights == 0).float()
    holders = heldout.sum(dim=0)
    mean = (returns * heldout[..., None]).sum(dim=0) / holders.clamp_min(1)[:, None]
    return Foretold(mean, holders > 0)


def weigh(model: RewardModel, data: Dataset, some: Tensor, parts: Sequence[Foretold], *, calibrate: bool) -> LeftOut:
    """Set the shares of a model's parts, and put together what they foretell.

    Args:
        model: Its shares are changed in place.
        data: All choices.
        some: Numbers of those that the parts are about, shape (n,).
        parts: In order: linear part, networks; one of them may be missing.
        calibrate: Whether shares follow what is foretold; all are 1 otherwise.
    """
    known = torch.stack([part.known for part in parts]).all(dim=0)
    choices, returns = some[known], torch.stack([part.returns[known] for part in parts])
    shares = torch.ones(len(parts))
    if calibrate and len(choices):
        expected = np.array([1.0, 0.0])[: len(parts)]  # networks are to prove that they add something
        found = stacked(data.surely(returns, choices), data.targets[choices], data.offered[choices], expected)
        shares = torch.from_numpy(found).float()
    model.shares.copy_(shares.expand(2))  # of a part that is missing, it is never used
    return LeftOut(choices, (shares[:, None, None] * returns).sum(dim=0))
