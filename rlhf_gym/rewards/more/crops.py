"""Temporal crops: each gradient step is taken on random parts of the segments (SURF)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.more.more import More


def crops(shortest: float = 0.75) -> More:
    """Fit to random crops of segments, equally many steps cut from a choice's options (Park et al. 2022, section 4.2).

    The length is drawn for each choice, and the position for each option. A choice depends on the difference of sums,
    so every option loses the same number of lived steps, and no padding: the worth of living then counts as much in a
    cropped choice as in the whole one. If an option ended early, all options of its choice lose their first steps, so
    that the end stays visible, and prefixes of one segment (a switch-off) stay prefixes.

    SURF keeps five more steps at either end of a segment than the teacher saw, and crops 45 to 55 of those 60. Here
    nothing is kept beyond the segment, so a crop is at most as long as it.

    Args:
        shortest: Smallest share of a segment that is kept, above 0 and at most 1; lengths from there to the whole are
            equally probable.

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
