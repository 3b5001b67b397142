"""Answers that are a number out of a fixed maximum, written as text such as "3/5"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

from rlhf_gym.errors import BadInput
from rlhf_gym.preferences import Answer, Level, Said, Stop


def out_of(
    made: type[Level] | type[Stop], of: int, *, no: str, use: str
) -> tuple[Callable[[str, int], Said], Callable[[Said], str]]:
    """Make the functions that read and write such answers.

    Args:
        made: Class of the answers.
        of: The maximum.
        no: What the error message calls anything else, such as "no rating".
        use: What to do instead, such as "use 1/5, the worst, to 5/5".

    Returns:
        Two functions, as :class:`Kind` takes them for `parse` and `text`; both raise BadInput for anything but such an
        answer or SKIP.
    """

    def parse(text: str, options: int) -> Said:
        if text == Answer.SKIP.value:
            return Answer.SKIP
        number, _, whole = text.partition("/")
        if whole != str(of) or number not in map(str, range(1, of + 1)):
            raise BadInput(f"{text[:60]!r} is {no}; {use}")
        return made(int(number), of)

    def text(answer: Said) -> str:
        if isinstance(answer, made) and answer.of == of:
            return "/".join(map(str, astuple(answer)))
        if answer is Answer.SKIP:
            return Answer.SKIP.value
        raise BadInput(
            f"{answer!r} is {no}; use {made.__name__}(1, {of}) to {made.__name__}({of}, {of}), or Answer.SKIP"
        )

    return parse, text
