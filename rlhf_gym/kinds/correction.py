"""Correction: the teacher shows a better way to go on from a segment's first state.

An answer is a choice of the corrected segment over the original (Bajcsy et al. 2017; Jeon, Milli & Dragan 2020,
section 3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds.kind import Kind
from rlhf_gym.kinds.made import parse, shown, text
from rlhf_gym.preferences import Choice, Preference


def choices(preference: Preference, before: Sequence[Preference] = ()) -> list[Choice]:
    """Make one choice of the corrected segment over the original.

    Raises:
        BadInput: If both don't start in the same state.
    """
    query = preference.query
    (original,) = query.options
    corrected = shown(preference.answer, original)
    if not np.array_equal(corrected.observations[0], original.observations[0]):
        raise BadInput(f"the correction of query {query.id!r} starts in another state than what it corrects")
    return [Choice((corrected, original), (1.0, 0.0), group=query.original)]


CORRECTION = Kind(range(1, 2), parse, text, None, choices, seconds=lambda options: 20.0)
