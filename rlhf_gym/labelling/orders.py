"""The order that a person types for a ranking: `bca`, or `b=ca` if b and c are tied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from rlhf_gym.errors import BadInput
from rlhf_gym.labelling.keys import COMMANDS, Key, Keyboard
from rlhf_gym.preferences import Ranking

ENTER = ("\n", "\r")
ERASE = ("\x7f", "\b")


def read_order(typed: str, names: Sequence[str]) -> Ranking:
    """Read an order of options, best first, ties joined by "="; case, blanks, commas and ">" don't matter.

    Args:
        typed: Such as "bca" or "b = c a".
        names: Names of the options, a letter each.

    Raises:
        BadInput: If it doesn't name each option once, or a "=" isn't between two letters.
    """
    groups: list[list[int]] = []
    tied = False
    for letter in (one for one in typed.lower() if not one.isspace() and one not in ">,"):
        if letter == "=" and (tied or not groups):
            raise BadInput(f"a = stands between two letters; {_wanted(names)}")
        if letter != "=" and letter not in names:
            raise BadInput(f"{letter!r} is none of {', '.join(names)}; {_wanted(names)}")
        if letter != "=" and any(names.index(letter) in group for group in groups):
            raise BadInput(f"{letter} is named twice; {_wanted(names)}")
        if letter != "=":
            groups[-1:] = [[*groups[-1], names.index(letter)]] if tied else [*groups[-1:], [names.index(letter)]]
        tied = letter == "="
    missing = [name for place, name in enumerate(names) if not any(place in group for group in groups)]
    if tied or missing:
        what = f"{' and '.join(missing)} missing" if missing else "a = stands between two letters"
        raise BadInput(f"{what}; {_wanted(names)}")
    return Ranking(tuple(map(tuple, groups)))


def _wanted(names: Sequence[str]) -> str:
    example = "".join((*names[1:], names[0]))
    return f"type each of {', '.join(names)} once, best first, such as {example}, = between equals"


@final
class Typing:
    """The prompt for a ranking, typed key by key or as a line.

    Args:
        names: Names of the options, a letter each.

    Attributes:
        typed: The order so far.
        problem: What was wrong with the last key or line, and what is expected; "" if nothing was.
        parts: Always 0, since no parts are numbered.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.typed, self.problem, self.parts, self._names = "", "", 0, names

    @property
    def below(self) -> list[str]:
        """See :class:`rlhf_gym.labelling.asking.Asking`."""
        return [f"order, best first: {self.typed}_", self._help]

    @property
    def prompt(self) -> str:
        """See :class:`rlhf_gym.labelling.asking.Asking`."""
        return f"{self._help}\norder? {self.typed}"

    @property
    def _help(self) -> str:
        return f"{self.problem or _wanted(self._names)}, then Enter; space or s skip, u undo, r replay, q quit"

    def hear(self, keys: Keyboard, timeout: float | None) -> Ranking | Key | None:
        """Read the next key or line; return the order if it is complete, or a command; None otherwise."""
        pressed = keys.press(timeout)
        if pressed is None:
            return None
        self.problem = ""
        return self._line(pressed) if pressed.endswith(ENTER) else self._key(pressed)

    def _line(self, pressed: str) -> Ranking | Key | None:
        line = self.typed + pressed[:-1]
        word = line.strip().lower()
        if key := COMMANDS.get(word or line[:1]):
            return key
        try:
            return read_order(line, self._names)
        except ValueError as error:
            self.problem = str(error)
            self.typed = self.typed if pressed in ENTER else ""  # a line has to be retyped, keys can be corrected
            return None

    def _key(self, pressed: str) -> Key | None:
        if pressed in ERASE:
            self.typed = self.typed[:-1]
        elif pressed in self._names or pressed == "=" or (pressed == " " and self.typed):
            self.typed += pressed
        elif key := COMMANDS.get(pressed):
            return key
        else:
            self.problem = f"{pressed!r} is none of {', '.join(self._names)}; {_wanted(self._names)}"
        return None
