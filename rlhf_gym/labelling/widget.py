"""A teacher's desk in a notebook: two clips in step, and buttons."""

from __future__ import annotations

import io
import time
from html import escape
from itertools import groupby
from typing import Any

import numpy as np
from PIL import Image

from rlhf_gym.errors import BadInput
from rlhf_gym.labelling.characters import plot_states
from rlhf_gym.labelling.clips import Clip, ClipError
from rlhf_gym.labelling.desk import Desk, Taken
from rlhf_gym.preferences import Answer, Query

try:
    import ipywidgets
except ImportError as error:
    raise ImportError("buttons in a notebook need ipywidgets: pip install 'rlhf-gym[notebooks]'") from error

GAP = 16
"""Pixels between left and right."""
BUTTONS = {
    "left": ("← left", "the left one is better"),
    "tie": ("tie", "neither is better"),
    "right": ("right →", "the right one is better"),
    "skip": ("skip", "can't tell"),
    "undo": ("undo", "take the last answer back"),
}


class Lesson:
    """Labelling widget for a notebook: queries one after the other; shown as the last value of a cell.

    Every answer is in the store before the next query is shown.

    Args:
        desk: Gives the queries and takes the answers.
        who: The person's name.

    Attributes:
        query: The one in view; None if there is nothing to ask.
        buttons: By name: "left", "tie", "right", "skip", "undo". A script may click them.
    """

    def __init__(self, desk: Desk, *, who: str) -> None:
        self._desk, self._who, self._shown_at = desk, who, 0.0
        self.query: Query | None = None
        self.buttons = {name: ipywidgets.Button(description=text, tooltip=tip) for name, (text, tip) in BUTTONS.items()}
        for name, button in self.buttons.items():
            button.on_click(lambda _, name=name: self._press(name))
        self._text, self._plot, self._clip = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.Image(format="webp")
        buttons = ipywidgets.HBox(list(self.buttons.values()))
        self._box = ipywidgets.VBox([self._text, self._clip, self._plot, buttons])
        self._show(desk.next(who))

    def check_done(self) -> None:
        """Check that every query was answered, before the notebook goes on.

        Raises:
            BadInput: If queries are waiting.
        """
        if waiting := self._desk.progress(self._who).waiting:
            raise BadInput(f"{waiting} queries are waiting; answer them with the buttons above, then run this again")

    def _press(self, name: str) -> None:
        note = ""
        if name == "undo":
            undone = self._desk.undo(self._who)
            return self._show(undone or self.query, "" if undone else "there is no answer of yours to take back")
        if self.query is None:
            return None
        try:
            self._desk.answer(self._who, self.query.id, Answer(name), self._shown_at)
        except Taken as error:
            note = str(error)
        return self._show(self._desk.next(self._who), note)

    def _show(self, query: Query | None, note: str = "") -> None:
        self.query, plot = query, ""
        self._clip.value = b""
        if query is not None:
            try:
                self._clip.value = side_by_side(self._desk.clip(query.id))
            except ClipError as error:
                note, plot = f"{note} {error}", "\n".join(plot_states(query, columns=100))
        self._clip.layout.display = None if self._clip.value else "none"
        self._plot.value = f"<pre>{escape(plot)}</pre>" if plot else ""
        for name, button in self.buttons.items():
            button.disabled = query is None and name != "undo"
        self._text.value = "<br>".join(map(escape, filter(None, [self._desk.instructions, self._progress(), note])))
        self._shown_at = time.time()

    def _progress(self) -> str:
        done = self._desk.progress(self._who)
        seconds = "" if done.median_seconds is None else f", {done.median_seconds:.1f} s each (median)"
        rest = f"{done.waiting} waiting" if self.query else "that was all for now; go on with the next cell"
        return f"{done.by_you} answered{seconds}; {rest}"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """How Jupyter shows it."""
        return self._box._repr_mimebundle_(**kwargs)


def side_by_side(clip: Clip) -> bytes:
    """Join both sides of a clip in one endlessly looping animated WebP, so that they can't get out of step."""
    left, right = clip.frames("left"), clip.frames("right")
    gap = np.full((*left.shape[1:2], GAP, 3), 255, np.uint8)
    pictures, durations = [], []
    for _, same in groupby(range(len(left)), lambda tick: (clip.order["left"][tick], clip.order["right"][tick])):
        ticks = list(same)
        pictures.append(Image.fromarray(np.concatenate([left[ticks[0]], gap, right[ticks[0]]], axis=1)))
        durations.append(len(ticks) * clip.milliseconds)
    file = io.BytesIO()
    # The quickest method: a person is waiting.
    pictures[0].save(
        file, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=0, method=0, quality=75
    )
    return file.getvalue()
