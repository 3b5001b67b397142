"""Trajectories recorded elsewhere, windows of which are demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Segment, Trajectory, count_windows, cut_windows
from rlhf_gym.teachers import Shows


def recorded(trajectories: Sequence[Trajectory], *, rng: np.random.Generator) -> Shows:
    """Show windows of trajectories, each as likely as any other (:func:`rlhf_gym.segments.count_windows`).

    Args:
        trajectories: At least one.
        rng: Draws the windows.

    Returns:
        A function of a query that raises BadInput if no trajectory is as long as its segments, or if a query of one
        option asks to go on from there.
    """
    counts = cache(lambda length: count_windows(trajectories, length))

    def shows(query: Query) -> Segment:
        if len(query.options) == 1:
            raise BadInput(f"query {query.id!r} is a {query.kind}; recorded trajectories can't go on from its state")
        length = query.options[0].length
        number = rng.integers(counts(length).sum(), size=1)
        return cut_windows(trajectories, counts(length), number, length)[0]

    return shows
