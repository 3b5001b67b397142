"""A labelling widget for notebooks: clips in step, and buttons."""

from __future__ import annotations

import time
from collections.abc import Container
from html import escape
from typing import Any

from rlhf_gym.errors import BadInput
from rlhf_gym.labelling.characters import plot_states
from rlhf_gym.labelling.clips import ClipError
from rlhf_gym.labelling.desk import Desk, Taken
from rlhf_gym.labelling.in_step import side_by_side
from rlhf_gym.labelling.pictures import passed
from rlhf_gym.preferences import Answer, Query, Said

try:
    import ipywidgets
except ImportError as error:
    raise ImportError("buttons in a notebook need ipywidgets: pip install 'rlhf-gym[notebooks]'") from error

from rlhf_gym.labelling.panels import Panel, button, panel, row

__all__ = ["Lesson", "side_by_side"]

GLANCE = 0.3  # seconds: a click that comes sooner was meant for the query before


class Lesson:
    """Labelling widget for a notebook, shown as the last value of a cell: queries one after the other.

    Every answer is in the store before the next query is shown. The buttons depend on the query in view. While its clip
    is drawn they are disabled, and clicks that wait until the kernel is free again are ignored, because they were meant
    for the query before.

    Args:
        desk: Gives the queries and takes the answers.
        who: The person's name.

    Attributes:
        query: The query in view; None if there is nothing to ask.
        buttons: By name: "skip", "undo", and for a comparison "left", "tie", "right"; for a rating the number of each
            level; for a switch-off the number of each part, the last of which lets it run; for a ranking the letters,
            "=", "erase" and "done". A script may click them.
        order: Text field in which a ranking may be typed instead; None for other kinds.
    """

    def __init__(self, desk: Desk, *, who: str) -> None:
        self._desk, self._who, self._shown_at = desk, who, 0.0
        self._answered = desk.answered(who)
        self._in_view = 0.0
        self.query: Query | None = None
        self.order: Any = None
        self._besides = {
            "skip": button("skip", "can't tell", lambda: self._say(Answer.SKIP)),
            "undo": button("undo", "take the last answer back", self._undo),
        }
        self.buttons = dict(self._besides)
        self._panels: dict[tuple[str, int, tuple[str, ...]], Panel] = {}
        self._text, self._plot = ipywidgets.HTML(), ipywidgets.HTML()
        as_drawn = ipywidgets.Layout(align_self="flex-start", max_width="100%")  # not as wide as the notebook
        self._clip = ipywidgets.Image(format="webp", layout=as_drawn)
        self._answers = row(list(self._besides.values()))
        self._box = ipywidgets.VBox([self._text, self._clip, self._plot, self._answers])
        self._show(desk.next(who))

    def check_done(self) -> None:
        """Check that every query was answered, before the notebook goes on.

        Raises:
            BadInput: If queries are waiting.
        """
        if waiting := self._desk.progress(self._who).waiting:
            raise BadInput(f"{waiting} queries are waiting; answer them with the buttons above, then run this again")

    def _say(self, answer: Said) -> None:
        if self.query is None:
            return
        note = ""
        try:
            self._desk.answer(self._who, self.query.id, answer, self._shown_at)
            self._answered.append(self.query.id)
        except Taken as error:
            note = str(error)
        self._show(self._desk.next(self._who), note)

    def _undo(self) -> None:
        undone = self._desk.undo(self._who, self._answered)
        self._show(undone or self.query, "" if undone else "there is no answer of yours to take back")

    def _show(self, query: Query | None, note: str = "") -> None:
        self.query, clip, plot = query, b"", ""
        parts = self._ask(query) if query else 0
        self._enable(())
        if query is not None:
            try:
                drawn = self._desk.clip(query.id)
                over = passed(drawn.order[query.names[0]], query.options[0])
                clip = side_by_side(drawn, passed=over, parts=parts)
            except ClipError as error:
                note, plot = f"{note} {error}", "\n".join(plot_states(query, columns=100, parts=parts))
        self._clip.value = clip
        self._clip.layout.display = None if clip else "none"
        self._plot.value = f"<pre>{escape(plot)}</pre>" if plot else ""
        self._tell(note)
        self._enable(self.buttons if query else ["undo"])
        self._shown_at, self._in_view = time.time(), time.monotonic()

    def _enable(self, names: Container[str]) -> None:
        for name, one in self.buttons.items():
            one.disabled, one.heeds = name not in names, self._heeds

    def _heeds(self) -> bool:
        return time.monotonic() - self._in_view >= GLANCE

    def _ask(self, query: Query) -> int:
        """Show the buttons for a query; return how many parts of it are numbered."""
        levels = self._desk.levels_of(query)
        key = query.kind, len(query.options), tuple(levels)
        if key not in self._panels:
            self._panels[key] = panel(query, levels, say=self._say, tell=self._tell)
        shown = self._panels[key]
        shown.clear()
        self.buttons, self.order = {**shown.buttons, **self._besides}, shown.order
        self._answers.children = (shown.box, *self._besides.values())
        return shown.parts

    def _tell(self, note: str) -> None:
        lines = filter(None, [self._desk.instructions_for(self.query), self._progress(), note])
        self._text.value = "<br>".join(map(escape, lines))

    def _progress(self) -> str:
        done = self._desk.progress(self._who)
        seconds = "" if done.median_seconds is None else f", {done.median_seconds:.1f} s each (median)"
        rest = f"{done.waiting} waiting" if self.query else "that was all for now; go on with the next cell"
        return f"{done.by_you} answered{seconds}; {rest}"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Show the widget in Jupyter."""
        return self._box._repr_mimebundle_(**kwargs)
