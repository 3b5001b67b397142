"""Shares of a reward's parts, by how well each foretells answers that it wasn't fitted to."""

from __future__ import annotations

import torch
from torch import Tensor

from rlhf_gym.rewards.likelihood import choice_loss
from rlhf_gym.segments import Array

LEAST = 0.05


def stacked(left_out: Tensor, targets: Tensor, offered: Tensor, expected: Array) -> Array:
    """Find the shares under which the parts together foretell answers best (Breiman 1996, Stacked regressions).

    A share is a temperature, too: of a part that is too sure of itself, less than 1. Few answers tell little, so the
    shares are held near the expected ones by a normal prior of standard deviation 1. None is negative, and the first
    isn't 0: a reward that is the same everywhere teaches nothing.

    Args:
        left_out: What each part gives each option, fitted without its choice, shape (parts, N, K).
        targets: Probability with which each option was chosen, shape (N, K).
        offered: Whether there is an option, bool, shape (N, K).
        expected: Shares before any answer, shape (parts,).

    Returns:
        Shape (parts,).
    """
    from scipy.optimize import minimize  # long to import, and most runs need none of it

    left_out, targets, before = left_out.double(), targets.double(), torch.from_numpy(expected)

    @torch.enable_grad()
    def loss(shares: Array) -> tuple[float, Array]:
        of = torch.from_numpy(shares).requires_grad_()
        together = (of[:, None, None] * left_out).sum(dim=0, keepdim=True)
        total = choice_loss(together, targets, offered).sum() + 0.5 * (of - before).square().sum()
        (gradient,) = torch.autograd.grad(total, of)
        return total.item(), gradient.numpy()

    found = minimize(
        loss, expected, jac=True, method="L-BFGS-B", bounds=[(LEAST, None)] + [(0, None)] * (len(expected) - 1)
    )
    shares: Array = found.x
    return shares
