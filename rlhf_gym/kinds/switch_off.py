"""Switch-off: when a person would have stopped a segment, as a choice among its prefixes.

A stopped segment is worth the sum of its rewards until then, so the answer is one reward-rational choice among prefixes
(Hadfield-Menell et al. 2017, The off-switch game; Jeon, Milli & Dragan 2020, section 3). Unlike comparisons of whole
segments, it tells whether going on is better than stopping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rlhf_gym.kinds.kind import Kind
from rlhf_gym.kinds.out_of import out_of
from rlhf_gym.preferences import Choice, Preference, Query, Stop
from rlhf_gym.segments import Segment

PARTS = 8
"""Number of equal parts of a segment, after each of which it may be stopped; people hardly react faster."""


parse, text = out_of(
    Stop,
    PARTS,
    no="no time to switch off",
    use=f"use 1/{PARTS} to {PARTS}/{PARTS}, parts lived; {PARTS}/{PARTS} is never",
)


def beginnings(query: Query) -> list[Segment]:
    """Cut the lived steps after each part, the shortest first; the last is the whole option itself."""
    (whole,) = query.options
    return [_begun(whole, max(1, round(whole.lived * part / PARTS))) for part in range(1, PARTS)] + [whole]


def answer(worth: Sequence[float]) -> Stop:
    """Stop after the best prefix; among equal ones after the longest, as there was no reason to stop."""
    return Stop(1 + max(range(len(worth)), key=lambda part: (worth[part], part)), len(worth))


def choices(preference: Preference, before: Sequence[Preference] = ()) -> list[Choice]:
    """Make one choice among the prefixes that differ; a segment of one step implies none."""
    stopped, query = preference.answer, preference.query
    assert isinstance(stopped, Stop)  # noqa: S101
    begun = beginnings(query)
    chosen = begun[stopped.after - 1].lived
    different = list({segment.lived: segment for segment in begun}.values())
    if len(different) == 1:
        return []
    target = tuple(float(segment.lived == chosen) for segment in different)
    return [Choice(tuple(different), target, group=query.original)]


def _begun(whole: Segment, steps: int) -> Segment:
    return replace(
        whole,
        observations=whole.observations[: steps + 1],
        actions=whole.actions[:steps],
        rewards=whole.rewards[:steps],
        terminated=False,
    )


SWITCH_OFF = Kind(range(1, 2), parse, text, answer, choices, weighed=beginnings)
