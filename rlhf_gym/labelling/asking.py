"""How a query of each kind is answered at a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol, final

from rlhf_gym.errors import BadInput
from rlhf_gym.labelling.keys import COMMANDS, NEWLINE, Key, Keyboard
from rlhf_gym.labelling.orders import Typing
from rlhf_gym.labelling.wanted import level_names, wanted
from rlhf_gym.preferences import Answer, Level, Query, Ranking, Said, Stop

KEYS = ("space skip", "backspace undo", "r replay", "q quit")
LETTERS = ("s skip", "u undo", "r replay", "q quit")
COMPARED: Mapping[str, Said] = {
    **dict.fromkeys(("left arrow", "h", "1", "left"), Answer.LEFT),
    **dict.fromkeys(("right arrow", "l", "2", "right"), Answer.RIGHT),
    **dict.fromkeys(("down arrow", "t", "=", "tie"), Answer.TIE),
}


class Asking(Protocol):
    """One query in the course of being answered, key by key.

    Attributes:
        typed: What stands after the prompt.
        problem: What was wrong with the last key or line; "" if nothing was.
        parts: Equal parts of an option that are numbered below it; 0 if none are.
    """

    typed: str
    problem: str
    parts: int

    @property
    def below(self) -> list[str]:
        """Lines below the pictures: what may be said, and what is wrong."""

    @property
    def prompt(self) -> str:
        """The same in ASCII, as it stands before the answer."""

    def hear(self, keys: Keyboard, timeout: float | None) -> Said | Key | None:
        """Take the next key, or line: return the answer once it is complete, or a command; None otherwise."""


def ask(query: Query, levels: Sequence[str]) -> Asking:
    """Begin to ask a query.

    Args:
        query: Which one.
        levels: What the levels of a rating are called, the worst first; anything where it is none.

    Raises:
        BadInput: If its kind can't be answered at a terminal.
    """
    match wanted(query):
        case Answer():
            return Pressing(COMPARED, ("← left", "→ right", "↓ tie"), ("1 left", "2 right", "t tie"))
        case Ranking():
            return Typing(query.names)
        case Level():
            return rating(level_names(levels))
        case Stop(of=of):
            return switch_off(of)
    raise BadInput(f"a {query.kind} can't be answered at a terminal; use a page, or a teacher that shows segments")


def rating(names: Sequence[str]) -> Pressing:
    """Take the number of a level, or its word, given their names as :func:`level_names` makes them."""
    levels = [Level(level, len(names)) for level in range(1, len(names) + 1)]
    numbers, words = zip(*(name.lower().partition(" ")[::2] for name in names), strict=True)
    answers: dict[str, Said] = {**dict(zip(words, levels, strict=True)), **dict(zip(numbers, levels, strict=True))}
    return Pressing(answers, names)


def switch_off(parts: int) -> Pressing:
    """Take the number of the part after which it should have been stopped; the last one, or 0, is to let it run.

    To let it run isn't Enter: whoever ends other answers with it would say so without wanting to.
    """
    answers: dict[str, Said] = {str(part): Stop(part, parts) for part in range(1, parts + 1)}
    answers["0"] = Stop(parts, parts)
    return Pressing(answers, (f"1 to {parts - 1} stop it there", f"{parts} let it run"), parts=parts)


@final
class Pressing:
    """Answers of one key each, or one word a line. Other keys mean nothing; of a wrong number or word it is told.

    Args:
        answers: By key or word.
        told: What they are, as it stands below the pictures.
        prompted: The same in ASCII; None is the same.
        parts: See :class:`Asking`.
    """

    def __init__(
        self, answers: Mapping[str, Said], told: Sequence[str], prompted: Sequence[str] | None = None, *, parts: int = 0
    ) -> None:
        self.typed, self.problem, self.parts = "", "", parts
        self._answers, self._told, self._prompted = answers, told, prompted or told

    @property
    def below(self) -> list[str]:
        """See :class:`Asking`; a key and its meaning stay on one line."""
        return [self.problem + "  ".join(part.replace(" ", "\N{NO-BREAK SPACE}") for part in (*self._told, *KEYS))]

    @property
    def prompt(self) -> str:
        """See :class:`Asking`."""
        return f"{self.problem}{', '.join((*self._prompted, *LETTERS))}? "

    def hear(self, keys: Keyboard, timeout: float | None) -> Said | Key | None:
        """See :class:`Asking`."""
        pressed = keys.press(timeout)
        if pressed is None:
            return None
        self.problem, word = "", pressed.strip().lower() or pressed[:1]
        said = COMMANDS.get(word) or self._answers.get(word)
        if said is None and (word.isdecimal() or (pressed.endswith(NEWLINE) and word.strip())):
            self.problem = f"{word[:30]!r} is no answer here: "
        self.typed = word if said and not isinstance(said, Enum) else ""
        return said
