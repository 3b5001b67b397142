"""Switch-off: when a person would have stopped what they see, a choice among its beginnings.

Stopped early a segment is worth the sum of the steps until then, so that the answer is one reward-rational choice among
prefixes (Hadfield-Menell et al. 2017, The off-switch game; Jeon, Milli & Dragan 2020, section 3). It says something no
comparison of whole segments does: whether to go on is better than nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds.kind import Kind
from rlhf_gym.preferences import Answer, Choice, Preference, Query, Said, Stop
from rlhf_gym.segments import Segment

PARTS = 8
"""Equal parts of a segment, after each of which it may be stopped: nobody's finger is much quicker."""


def parse(text: str, options: int) -> Said:
    """Read "skip", or how many of the parts were still to be lived, such as "3/8"; "8/8" is not to be stopped.

    Raises:
        BadInput: If it is neither.
    """
    if text == Answer.SKIP.value:
        return Answer.SKIP
    after, slash, of = text.partition("/")
    if not (slash and of == str(PARTS) and after in map(str, range(1, PARTS + 1))):
        raise BadInput(f"{text[:60]!r} is no time to switch off; use 1/{PARTS} to {PARTS}/{PARTS}, parts lived")
    return Stop(int(after), PARTS)


def text(answer: Said) -> str:
    """Write what :func:`parse` reads.

    Raises:
        BadInput: If it is neither a stop nor SKIP.
    """
    if isinstance(answer, Stop) and answer.of == PARTS:
        return f"{answer.after}/{answer.of}"
    if answer is Answer.SKIP:
        return Answer.SKIP.value
    raise BadInput(f"{answer!r} is no time to switch off; use Stop(3, {PARTS}), or Answer.SKIP")


def beginnings(query: Query) -> list[Segment]:
    """Cut what was lived after each part, the shortest first; the last is the whole option itself."""
    (whole,) = query.options
    return [_begun(whole, max(1, round(whole.lived * part / PARTS))) for part in range(1, PARTS)] + [whole]


def answer(worth: Sequence[float]) -> Stop:
    """Stop after the best beginning; of equal ones the longest, as there was no reason to stop."""
    return Stop(1 + max(range(len(worth)), key=lambda part: (worth[part], part)), len(worth))


def choices(preference: Preference, before: Sequence[Preference] = ()) -> list[Choice]:
    """Make one choice among the beginnings that differ; of a segment of one step there is none."""
    stopped, query = preference.answer, preference.query
    assert isinstance(stopped, Stop)  # noqa: S101
    begun = beginnings(query)
    chosen = begun[stopped.after - 1].lived
    different = list({segment.lived: segment for segment in begun}.values())
    if len(different) == 1:
        return []
    target = tuple(float(segment.lived == chosen) for segment in different)
    return [Choice(tuple(different), target, group=query.repeats or query.id)]


def _begun(whole: Segment, steps: int) -> Segment:
    return replace(
        whole,
        observations=whole.observations[: steps + 1],
        actions=whole.actions[:steps],
        rewards=whole.rewards[:steps],
        terminated=False,
    )


SWITCH_OFF = Kind(range(1, 2), parse, text, answer, choices, weighed=beginnings)
