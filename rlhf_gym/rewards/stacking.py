"""Shares of a reward's parts, by how well each predicts answers that it wasn't fitted to."""

from __future__ import annotations

import torch
from torch import Tensor

from rlhf_gym.rewards.likelihood import choice_loss
from rlhf_gym.segments import Array

LEAST = 0.05


def stacked(left_out: Tensor, targets: Tensor, offered: Tensor, weights: Tensor, expected: Array) -> Array:
    """Find the shares with which the parts together predict answers best (Breiman 1996, Stacked regressions).

    A share is also a temperature: an overconfident part gets less than 1. A normal prior of standard deviation 1 holds
    the shares near the expected ones, since few answers say little. No share is negative, and the first is at least
    :data:`LEAST`, since a constant reward teaches nothing.

    Args:
        left_out: Return of each option by each part, fitted without its choice, shape (parts, N, K).
        targets: Probability with which each option was chosen, shape (N, K).
        offered: Whether there is an option, bool, shape (N, K).
        weights: How much each choice counts, shape (N,).
        expected: Shares before any answer, shape (parts,).

    Returns:
        Shape (parts,).
    """
    from scipy.optimize import minimize  # slow to import, and most runs don't need it

    left_out, targets, before = left_out.double(), targets.double(), torch.from_numpy(expected)

    @torch.enable_grad()
    def loss(shares: Array) -> tuple[float, Array]:
        of = torch.from_numpy(shares).requires_grad_()
        together = (of[:, None, None] * left_out).sum(dim=0, keepdim=True)
        total = (choice_loss(together, targets, offered) * weights).sum() + 0.5 * (of - before).square().sum()
        (gradient,) = torch.autograd.grad(total, of)
        return total.item(), gradient.numpy()

    found = minimize(
        loss, expected, jac=True, method="L-BFGS-B", bounds=[(LEAST, None)] + [(0, None)] * (len(expected) - 1)
    )
    shares: Array = found.x
    return shares
