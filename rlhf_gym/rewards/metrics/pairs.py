"""Freshly drawn pairs of segments: comparisons that nobody answered and the model wasn't fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.rewards.metrics.metric import TooFew
from rlhf_gym.segments import Array

TIE = 1e-9  # share of the largest return below which a difference is rounding


@dataclass(frozen=True, eq=False)
class Pairs:
    """N pairs of segments: the return of the left one less that of the right one.

    Args:
        learned: By the learned reward, shape (N,).
        true: By the true one, exactly 0 for a tie, shape (N,).
        members: By each member, in the unit of the likelihood: its log-odds that left is preferred, shape (M, N).
    """

    learned: Array
    true: Array
    members: Array

    @property
    def answers(self) -> Array:
        """Answers of an errorless teacher: 1 for left, 0 for right, 0.5 for a tie, shape (N,)."""
        return np.asarray((np.sign(self.true) + 1) / 2)


def draw_pairs(judged: Judged, *, metric: str, pairs: int, seed: int) -> Pairs:
    """Draw pairs of different segments, uniformly over all that can be cut.

    Args:
        judged: Trajectories to cut them from.
        metric: Name of the metric, for the error message.
        pairs: N.
        seed: Of the draw.

    Raises:
        BadInput: If there are fewer than 2 trajectories or 10 segments.
    """
    if len(judged.trajectories) < 2:
        raise TooFew(metric, 2, "trajectories", len(judged.trajectories))
    returns = judged.segment_returns
    if (windows := returns.shape[1]) < 10:
        raise TooFew(metric, 10, "segments", windows)
    rng = np.random.default_rng(seed)
    left = rng.integers(windows, size=pairs)
    right = (left + rng.integers(1, windows, size=pairs)) % windows
    learned, true, *members = returns[:, left] - returns[:, right]
    true[np.abs(true) <= TIE * np.abs(returns[1]).max()] = 0
    return Pairs(learned, true, np.array(members))
