"""Rating: how good one segment is by itself, on a few levels in the researcher's own words.

Levels mean different things to different people, and to one person at different times, so no scale is assumed and no
thresholds are fitted: a rating is a choice between its segment and each of those that the same person lately put on
another level (as Christiano et al. 2017 compare two). Rating-based methods fit a class for each level instead (White et
al. 2024, Rating-based Reinforcement Learning), which needs fixed borders.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rlhf_gym.kinds.kind import Kind
from rlhf_gym.kinds.out_of import out_of
from rlhf_gym.preferences import Choice, Level, Preference

BLOCK = 9
"""Number of successive segments whose ratings are compared with each other.

Not more, as levels drift when segments get better; and no rating is compared outside its block, so that a block can be
held out without its ratings being in other choices. Each person has blocks of their own: where several rate the same
segments, what is held out of one person's ratings may be fitted in another's, and only `query.heldout` is unbiased.
"""
WORTH = 2.0
"""Choices that a rating counts for, however many others it is compared with: one of five levels tells about as much as
two comparisons, log2(5) = 2.3 bits."""
LEVELS = 5


def rating(levels: int) -> Kind:
    """Make the kind of feedback with this number of levels."""
    parse, text = out_of(
        Level, levels, no=f"no level of {levels}", use=f"use 1/{levels}, the worst, to {levels}/{levels}, the best"
    )

    def answer(worth: Sequence[float]) -> Level:
        """Spread the segments seen evenly over the levels."""
        (place,) = worth
        return Level(min(1 + math.floor(place * levels), levels), levels)

    return Kind(range(1, 2), parse, text, answer, choices, alone=True, seconds=lambda options: 3.0)


def choices(preference: Preference, before: Sequence[Preference] = ()) -> list[Choice]:
    """Make a choice between the segment and each earlier one of its block with another level, if there are any."""
    rated, query = preference.answer, preference.query
    assert isinstance(rated, Level)  # noqa: S101
    places: dict[str, int] = {}  # a repeat has the place of the query that it repeats
    *earlier, block = [places.setdefault(p.query.original, len(places)) // BLOCK for p in (*before, preference)]
    together = [p for p, its in zip(before, earlier, strict=True) if its == block]
    others = [(p.query, p.answer) for p in together if p.query.original != preference.query.original]
    against = [(other, level) for other, level in others if isinstance(level, Level) and level.level != rated.level]
    return [
        Choice(
            (*query.options, *other.options),
            (1.0, 0.0) if rated.level > level.level else (0.0, 1.0),
            group=together[0].query.original,
            weight=WORTH / len(against),
        )
        for other, level in against
    ]


RATING = rating(LEVELS)
RATING_2, RATING_3, RATING_4, RATING_6, RATING_7, RATING_8, RATING_9 = map(rating, (2, 3, 4, 6, 7, 8, 9))
