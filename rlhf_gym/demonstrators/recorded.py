"""Demonstrations cut from trajectories that were recorded elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Query
from rlhf_gym.segments import Segment, Trajectory, count_windows, cut_windows
from rlhf_gym.teachers import Shows


def recorded(trajectories: Sequence[Trajectory], *, rng: np.random.Generator) -> Shows:
    """Make a demonstrator of windows of trajectories, equally likely (:func:`rlhf_gym.segments.count_windows`).

    Args:
        trajectories: At least one.
        rng: Draws the windows.

    Returns:
        A function of a query that raises BadInput if no window of its length can be cut, or if the query has one
        option, which asks for a correction.
    """
    counts = cache(lambda length: count_windows(trajectories, length))

    def shows(query: Query) -> Segment:
        if len(query.options) == 1:
            raise BadInput(f"query {query.id!r} is a {query.kind}; recorded trajectories can't go on from its state")
        length = query.options[0].length
        number = rng.integers(counts(length).sum(), size=1)
        return cut_windows(trajectories, counts(length), number, length)[0]

    return shows
