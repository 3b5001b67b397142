"""Temporal crops: in every gradient step, another part of each choice's segments (SURF)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.more.more import More


def crops(shortest: float = 0.75) -> More:
    """Fit to random crops of the segments, as many steps of each option of a choice (Park et al. 2022, section 4.2).

    The length is drawn anew for each choice, and the place for each option. What counts is the difference of sums, so
    that as many lived steps are left out of every option, and never padding: what living is worth then has the same
    part in a cropped choice as in the whole one. Where an option ended early, all options of its choice lose their
    first steps, so that the end stays in sight, and beginnings of one segment (a switch-off) stay beginnings.

    SURF keeps five steps more at either end of a segment than the teacher saw, and crops 45 to 55 of those 60; here
    there is nothing beyond the segment, so that crops are up to as long as it.

    Args:
        shortest: The least part of a segment that is left, from above 0 to 1; lengths up to the whole are as probable.

    Raises:
        BadInput: If it is another number.
    """
    if not 0 < shortest <= 1:
        raise BadInput(f"reward.more.crops.shortest is {shortest}; use a number above 0, and at most 1")

    def windows(lived: Tensor, rng: np.random.Generator) -> Tensor:
        n, options, length = lived.shape
        steps = lived.sum(dim=-1).numpy().astype(np.int64)
        most = np.minimum(int((1 - shortest) * length + 1e-9), steps.min(axis=1) - 1)
        left_out = rng.integers(0, most, endpoint=True)[:, None]
        whole = (steps == length).all(axis=1, keepdims=True)
        anywhere = rng.integers(0, np.broadcast_to(left_out, (n, options)), endpoint=True)
        first = np.where(whole, anywhere, left_out)[..., None]
        at = np.arange(length)
        return torch.from_numpy((at >= first) & (at < first + (steps - left_out)[..., None])).to(lived.dtype)

    return More(windows=windows)
