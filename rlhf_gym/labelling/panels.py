"""Buttons in a notebook for answering queries, by type of answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, final

import ipywidgets

from rlhf_gym.errors import BadInput
from rlhf_gym.labelling.orders import read_order
from rlhf_gym.labelling.wanted import level_names, wanted
from rlhf_gym.preferences import Answer, Level, Query, Ranking, Said, Stop

Say = Callable[[Said], None]
Tell = Callable[[str], None]


class Offer(NamedTuple):
    """A button that is an answer."""

    text: str
    tip: str
    said: Said


class Panel(Protocol):
    """The buttons for queries of one kind.

    Attributes:
        buttons: By name.
        box: Widget that holds all of them.
        order: Text field for a ranking; None for other answers.
        parts: Number of equal parts of an option to number below it; 0 for none.
    """

    buttons: dict[str, Any]
    box: Any
    order: Any
    parts: int

    def clear(self) -> None:
        """Clear an unfinished answer before the next query."""


def panel(query: Query, levels: Sequence[str], *, say: Say, tell: Tell) -> Panel:
    """Make the buttons for a query, and for all others of the same kind and number of options.

    Args:
        query: The query.
        levels: Names of a rating's levels, the worst first; ignored for other kinds.
        say: Called with the answer.
        tell: Called with one line about what was wrong with an answer.

    Raises:
        BadInput: If its kind can't be answered by buttons.
    """
    match wanted(query):
        case Answer():
            return Buttons(COMPARED, say)
        case Ranking():
            return Ordering(query.names, say, tell)
        case Level(of=of):
            names = enumerate(level_names(levels), start=1)
            return Buttons({str(n): Offer(name, f"level {n} of {of}", Level(n, of)) for n, name in names}, say)
        case Stop(of=of):
            stops = {
                str(n): Offer(f"stop at {n}", f"stopped after part {n} of {of}", Stop(n, of)) for n in range(1, of)
            }
            run = Offer("let it run", "there is no reason to stop it", Stop(of, of))
            return Buttons(stops | {str(of): run}, say, parts=of)
    raise BadInput(f"a {query.kind} can't be answered in a notebook; use a page, or a teacher that shows segments")


COMPARED = {
    "left": Offer("← left", "the left one is better", Answer.LEFT),
    "tie": Offer("tie", "neither is better", Answer.TIE),
    "right": Offer("right →", "the right one is better", Answer.RIGHT),
}


@final
class _Button(ipywidgets.Button):  # type: ignore[misc]  # ipywidgets has no types
    """A button that ignores clicks in the browser while `heeds` says so; a script's `click` always counts."""

    heeds: Callable[[], bool] = staticmethod(lambda: True)

    def _handle_button_msg(self, button: Any, content: Any, buffers: Any) -> None:
        if self.heeds():
            super()._handle_button_msg(button, content, buffers)


def button(text: str, tip: str, act: Callable[[], None]) -> Any:
    """Make a button as wide as its text."""
    made = _Button(description=text, tooltip=tip, layout=ipywidgets.Layout(width="auto", min_width="4em"))
    made.on_click(lambda _: act())
    return made


def row(things: Sequence[Any]) -> Any:
    """Put things beside each other, in several lines where they don't fit in one."""
    return ipywidgets.HBox(list(things), layout=ipywidgets.Layout(flex_flow="row wrap"))


@final
class Buttons:
    """A button for each answer.

    Args:
        offers: The buttons, by name.
        say: Called with the answer.
        parts: See :class:`Panel`.
    """

    def __init__(self, offers: Mapping[str, Offer], say: Say, *, parts: int = 0) -> None:
        self.buttons = {name: button(offer.text, offer.tip, partial(say, offer.said)) for name, offer in offers.items()}
        self.box, self.order, self.parts = row(list(self.buttons.values())), None, parts

    def clear(self) -> None:
        """See :class:`Panel`; there is nothing to forget."""


@final
class Ordering:
    """An order, best first, typed or clicked: a button for each letter, "=", "erase" and "done".

    Args:
        names: Names of the options, a letter each.
        say: Called with the order, when "done" is clicked and it is complete.
        tell: Called with one line about what was wrong with it.
    """

    def __init__(self, names: Sequence[str], say: Say, tell: Tell) -> None:
        self._names, self._say, self._tell, self.parts = names, say, tell, 0
        self.order = ipywidgets.Text(placeholder="best first", layout=ipywidgets.Layout(width="10em"))
        self.order.observe(self._mark, "value")
        self.order.on_msg(lambda _, message, __: self._done() if message.get("event") == "submit" else None)  # Enter
        self.buttons = {
            **{name: button(name, f"{name} comes next", partial(self._add, name)) for name in names},
            "=": button("=", "the clips before and after it are equally good", partial(self._add, "=")),
            "erase": button("erase", "take the last letter away", self._erase),
            "done": button("done", "that is the order, best first", self._done),
        }
        *letters, erase, done = self.buttons.values()
        self.box = row([*letters, self.order, erase, done])

    def clear(self) -> None:
        """See :class:`Panel`."""
        self.order.value = ""

    def _add(self, letter: str) -> None:
        self.order.value += letter

    def _erase(self) -> None:
        self.order.value = self.order.value.rstrip()[:-1]

    def _mark(self, _: Any) -> None:
        """Highlight the letters that are in the order already."""
        for name in self._names:
            self.buttons[name].button_style = "info" if name in self.order.value.lower() else ""

    def _done(self) -> None:
        try:
            order = read_order(self.order.value, self._names)
        except BadInput as error:
            self._tell(str(error))
        else:
            self._say(order)
