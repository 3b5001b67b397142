"""What a metric of a learned reward is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rlhf_gym.segments import Array

Metric = Callable[[Sequence[Array], Sequence[Array]], float]
"""(learned rewards of each trajectory's steps, the true ones, each of shape (L,)) -> a number; nan where there is
nothing to tell it from."""
