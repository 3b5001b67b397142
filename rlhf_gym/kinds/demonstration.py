"""Demonstration: a segment of the teacher's own, better than what the policy does now.

An answer is one reward-rational choice of the segment shown over some of the current policy's (Jeon, Milli & Dragan
2020, section 3; Finn et al. 2016, Guided cost learning, equation 4, likewise takes the policy's samples as the
alternatives).
"""

from __future__ import annotations

from collections.abc import Sequence

from rlhf_gym.kinds.kind import Kind
from rlhf_gym.kinds.made import parse, shown, text
from rlhf_gym.preferences import Choice, Preference


def choices(preference: Preference, before: Sequence[Preference] = ()) -> list[Choice]:
    """Make one choice of the segment shown over those of the query."""
    query = preference.query
    options = (shown(preference.answer, query.options[0]), *query.options)
    return [Choice(options, (1.0, *[0.0] * len(query.options)), group=query.original)]


DEMONSTRATION = Kind(range(3, 9), parse, text, None, choices, seconds=lambda options: 20.0)
