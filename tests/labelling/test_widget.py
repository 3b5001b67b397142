import io
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rlhf_gym.contracts import example_queries
from rlhf_gym.labelling import ClipError, Desk
from rlhf_gym.labelling.widget import Lesson, side_by_side
from rlhf_gym.preferences import Answer
from rlhf_gym.store import PreferenceStore

LEFT, RIGHT, TIE, SKIP = Answer


def pictures():
    """A clip of four ticks: black on the left; on the right a grey that gets darker, and is held at the end."""
    left = np.zeros((4, 40, 60, 3), np.uint8)
    right = left + np.array([250, 190, 130, 130], np.uint8)[:, None, None, None]
    order = {"left": [0, 0, 0, 0], "right": [0, 1, 2, 2]}
    return SimpleNamespace(frames={"left": left, "right": right}.__getitem__, order=order, milliseconds=50)


class Clips:
    """In place of clips."""

    def __init__(self, broken=False):
        self.broken = broken

    def ahead(self, queries):
        pass

    def wait(self, query, *, timeout):
        if self.broken:
            raise ClipError("<it> doesn't replay")
        return pictures()


@pytest.fixture
def store():
    with PreferenceStore() as opened:
        opened.post(example_queries(4))
        yield opened


@pytest.fixture
def lesson(store):
    return Lesson(Desk(store, Clips(), instructions="keep the pole <up>"), who="ann")


def said(store):
    return [(p.query.id, p.answer) for p in store.preferences()]


def test_each_button_is_an_answer(lesson, store):
    for name in ("left", "right", "tie", "skip"):
        lesson.buttons[name].click()
    assert said(store) == [("0-0", LEFT), ("0-1", RIGHT), ("0-2", TIE), ("0-3", SKIP)]
    assert {p.teacher for p in store.preferences()} == {"ann"}


def test_the_moment_of_seeing_is_written_down(lesson, store):
    seen = time.time()
    lesson.buttons["left"].click()
    [preference] = store.preferences()
    assert preference.shown_at <= seen <= preference.answered_at


def test_undo_shows_the_last_query_again(lesson, store):
    lesson.buttons["left"].click()
    lesson.buttons["undo"].click()
    assert (lesson.query.id, said(store)) == ("0-0", [])
    lesson.buttons["undo"].click()
    assert lesson.query.id == "0-0" and "no answer of yours" in lesson._text.value


def test_at_the_end_only_undo_is_left_and_the_notebook_may_go_on(lesson, store):
    with pytest.raises(ValueError, match="4 queries are waiting; answer them with the buttons above"):
        lesson.check_done()
    for _ in range(4):
        lesson.buttons["tie"].click()
    lesson.check_done()
    assert lesson.query is None and lesson._clip.value == b""
    assert [name for name, button in lesson.buttons.items() if not button.disabled] == ["undo"]
    lesson.buttons["left"].click()
    assert len(said(store)) == 4
    lesson.buttons["undo"].click()
    assert lesson.query.id == "0-3" and not lesson.buttons["left"].disabled


def test_a_query_that_somebody_else_has_answered_meanwhile_is_left_to_them(lesson, store):
    store.record("0-0", TIE, teacher="bob")
    lesson.buttons["left"].click()
    assert said(store) == [("0-0", TIE)] and lesson.query.id == "0-1"
    assert "answered by bob" in lesson._text.value


def test_texts_are_shown_as_texts(lesson):
    assert "keep the pole &lt;up&gt;" in lesson._text.value and "0 answered; 4 waiting" in lesson._text.value


def test_without_a_clip_there_is_a_plot_and_the_reason(store):
    lesson = Lesson(Desk(store, Clips(broken=True)), who="ann")
    assert "&lt;it&gt; doesn&#x27;t replay" in lesson._text.value and "s0  |" in lesson._plot.value
    assert lesson._clip.layout.display == "none"
    lesson.buttons["right"].click()
    assert said(store) == [("0-0", RIGHT)]


def test_jupyter_is_given_a_widget(lesson):
    assert "application/vnd.jupyter.widget-view+json" in lesson._repr_mimebundle_()


def test_both_sides_are_one_moving_picture_in_which_a_held_frame_costs_nothing():
    with Image.open(io.BytesIO(side_by_side(pictures()))) as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (3, (136, 40), 0)
        for frame, (grey, milliseconds) in enumerate([(250, 50), (190, 50), (130, 100)]):
            film.seek(frame)
            film.load()
            seen = np.asarray(film.convert("L"), int)
            assert film.info["duration"] == milliseconds
            assert seen[20, 30] < 15 and seen[20, 68] > 240 and abs(seen[20, 106] - grey) < 15
