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
    """The prompt for one query, answered key by key.

    Attributes:
        typed: Text after the prompt.
        problem: What was wrong with the last key or line; "" if nothing was.
        parts: Number of equal parts of an option that are numbered below it; 0 for none.
    """

    typed: str
    problem: str
    parts: int

    @property
    def below(self) -> list[str]:
        """Lines below the pictures: the possible answers, and the problem."""

    @property
    def prompt(self) -> str:
        """The same in ASCII, written before the answer."""

    def hear(self, keys: Keyboard, timeout: float | None) -> Said | Key | None:
        """Read the next key or line; return the answer if it is complete, or a command; None otherwise."""


def ask(query: Query, levels: Sequence[str]) -> Asking:
    """Make the prompt for a query.

    Args:
        query: The query.
        levels: Names of a rating's levels, the worst first; ignored for other kinds.

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
    """Make the prompt for a level's number or word, given the names that :func:`level_names` makes."""
    levels = [Level(level, len(names)) for level in range(1, len(names) + 1)]
    numbers, words = zip(*(name.lower().partition(" ")[::2] for name in names), strict=True)
    answers: dict[str, Said] = {**dict(zip(words, levels, strict=True)), **dict(zip(numbers, levels, strict=True))}
    return Pressing(answers, names)


def switch_off(parts: int) -> Pressing:
    """Make the prompt for the part after which to stop; the last one, or 0, lets it run.

    Enter alone doesn't let it run, because people who end other answers with Enter would confirm by accident.
    """
    answers: dict[str, Said] = {str(part): Stop(part, parts) for part in range(1, parts + 1)}
    answers["0"] = Stop(parts, parts)
    return Pressing(answers, (f"1 to {parts - 1} stop it there", f"{parts} let it run"), parts=parts)


@final
class Pressing:
    """Answers of one key each, or one word a line. Other keys are ignored; a wrong number or word is reported.

    Args:
        answers: By key or word.
        told: Descriptions of the answers, shown below the pictures.
        prompted: The same in ASCII; None takes `told`.
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
