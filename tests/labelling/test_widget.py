import io
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rlhf_gym.contracts import example_queries
from rlhf_gym.kinds import find_kind
from rlhf_gym.labelling import ClipError, Desk, widget
from rlhf_gym.labelling.widget import Lesson, side_by_side
from rlhf_gym.preferences import Answer
from rlhf_gym.store import PreferenceStore, StoredRun

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


def test_the_second_click_of_a_double_click_is_no_answer(lesson, store, monkeypatch):
    def click_in_the_browser(name):
        lesson.buttons[name]._handle_custom_msg({"event": "click"}, [])

    monkeypatch.setattr(widget, "GLANCE", 0)
    click_in_the_browser("left")
    monkeypatch.setattr(widget, "GLANCE", 600)  # sooner than that
    for name in ("left", "skip", "undo"):
        click_in_the_browser(name)
    assert said(store) == [("0-0", LEFT)] and lesson.query.id == "0-1"
    monkeypatch.setattr(widget, "GLANCE", 0)
    click_in_the_browser("right")
    assert said(store) == [("0-0", LEFT), ("0-1", RIGHT)]


def test_nothing_can_be_clicked_while_a_clip_is_drawn(lesson, monkeypatch):
    seen = []

    def wait(query, *, timeout):
        seen.append({name for name, one in lesson.buttons.items() if not one.disabled})
        return pictures()

    monkeypatch.setattr(lesson._desk._clips, "wait", wait)
    lesson.buttons["left"].click()
    assert seen == [set()] and not any(one.disabled for one in lesson.buttons.values())


def test_undo_reaches_back_to_answers_from_before_the_cell_was_run_again(lesson, store):
    lesson.buttons["left"].click()
    again = Lesson(lesson._desk, who="ann")
    again.buttons["undo"].click()
    assert (again.query.id, said(store)) == ("0-0", [])


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


# Other kinds


class ManyClips(Clips):
    """In place of clips: an option's grey gets brighter with its place, and every second tick."""

    def wait(self, query, *, timeout):
        if self.broken:
            raise ClipError("<it> doesn't replay")
        return greys(len(query.options), names=query.names)


def greys(options, names="abcdefgh"):
    """A clip of four ticks, in which each option has two pictures, each held for two ticks."""
    order = {name: [0, 0, 1, 1] for name in names[:options]}
    frames = {
        name: np.full((4, 40, 60, 3), 20 * place + 40, np.uint8)
        + np.array([0, 0, 30, 30], np.uint8)[:, None, None, None]
        for place, name in enumerate(order)
    }
    return SimpleNamespace(frames=frames.__getitem__, order=order, milliseconds=50)


@pytest.fixture
def teach():
    """Makes a lesson about four queries of each of these kinds; its answers as stored are `texts()`."""
    stores = []

    def make(*kinds, levels=(), broken=False):
        stores.append(PreferenceStore())
        for seed, kind in enumerate(kinds):
            stores[-1].post(example_queries(4, kind=kind, seed=seed))
        lesson = Lesson(Desk(stores[-1], ManyClips(broken), kinds=kinds, levels=levels), who="ann")
        return lesson, lambda: [find_kind(p.query.kind).text(p.answer) for p in stores[-1].preferences()]

    yield make
    for store in stores:
        store.close()


def press(lesson, *names):
    for name in names:
        lesson.buttons[name].click()


def test_a_rating_has_a_button_a_level_with_its_word(teach):
    lesson, texts = teach("rating", levels=("bad", "poor", "fair", "good", "very good"))
    assert [lesson.buttons[name].description for name in "15"] == ["1 bad", "5 very good"]
    press(lesson, "4", "skip", "1", "undo", "2")
    assert texts() == ["4/5", "skip", "2/5"]


def test_each_run_of_a_shared_store_has_its_own_words(tmp_path):
    url, words = f"sqlite:///{tmp_path}/shared.db", {"a": ("bad", "fair", "good"), "b": ("slow", "medium", "fast")}
    for seed, (name, levels) in enumerate(words.items()):
        run = StoredRun(name, levels=levels)
        with PreferenceStore(url, run=run) as store:
            store.post(example_queries(1, kind="rating-3", seed=seed))
            store.describe(run)
    with PreferenceStore(url) as store:
        lesson, seen = Lesson(Desk(store, ManyClips(False), kinds=["rating-3"]), who="ann"), []
        for _ in words:
            seen.append(tuple(lesson.buttons[name].description for name in "123"))
            press(lesson, "2")
    assert set(seen) == {("1 bad", "2 fair", "3 good"), ("1 slow", "2 medium", "3 fast")}


def test_a_rating_without_words_has_as_many_levels_as_its_kind(teach):
    lesson, texts = teach("rating-3")
    assert list(lesson.buttons) == ["1", "2", "3", "skip", "undo"]
    press(lesson, "3")
    assert texts() == ["3/3"] and lesson.query.id == "0-1"


def test_a_switch_off_has_a_button_a_part_and_the_last_lets_it_run(teach):
    lesson, texts = teach("switch_off")
    assert lesson.buttons["3"].description == "stop at 3" and lesson.buttons["8"].description == "let it run"
    press(lesson, "3", "8", "undo", "7")
    assert texts() == ["3/8", "7/8"]


def test_without_a_clip_the_parts_of_the_plot_are_numbered(teach):
    lesson, _ = teach("switch_off", broken=True)
    assert "---8" in lesson._plot.value


def test_a_ranking_is_clicked_together_best_first(teach):
    lesson, texts = teach("ranking")  # of three clips, and then of four
    press(lesson, "b", "c", "b", "erase", "a")
    assert lesson.order.value == "bca"
    assert [name for name in "abc" if lesson.buttons[name].button_style] == [*"abc"]
    press(lesson, "done")
    assert (texts(), lesson.order.value) == (["[1,2,0]"], "")
    press(lesson, "d", "=", "b", "a", "c", "done")
    assert texts()[1] == "[[1,3],0,2]"
    press(lesson, "undo", "skip")
    assert texts()[1] == "skip"


def test_the_order_of_a_ranking_may_be_typed_and_ended_by_enter(teach):
    lesson, texts = teach("ranking")
    lesson.order.value = "C > a = b"
    lesson.order._handle_custom_msg({"event": "submit"}, [])  # what the browser sends on Enter
    assert texts() == ["[2,[0,1]]"]


def test_of_a_wrong_order_it_is_told_what_was_expected_and_it_may_be_mended(teach):
    lesson, texts = teach("ranking")
    press(lesson, "b", "c", "done")
    assert texts() == [] and "a missing; type each of a, b, c once, best first" in lesson._text.value
    press(lesson, "a", "done")
    assert texts() == ["[1,2,0]"] and "missing" not in lesson._text.value


def test_half_an_order_is_forgotten_with_the_query_that_it_was_about(teach):
    lesson, _ = teach("ranking")
    press(lesson, "b", "skip", "undo")
    assert lesson.query.id == "0-0" and lesson.order.value == ""


def test_each_query_has_the_buttons_of_its_kind(teach):
    lesson, texts = teach("comparison", "rating-2")
    for _ in range(4):
        assert list(lesson.buttons) == ["left", "tie", "right", "skip", "undo"]
        press(lesson, "left")
    for _ in range(4):
        assert list(lesson.buttons) == ["1", "2", "skip", "undo"]
        press(lesson, "2")
    assert texts() == ["left"] * 4 + ["2/2"] * 4
    shown = lesson._answers.children[0].children
    assert lesson.query is None and all(button.disabled for button in shown)
    press(lesson, "undo")
    assert not any(button.disabled for button in shown)


def test_a_lesson_without_queries_has_nothing_but_undo():
    with PreferenceStore() as store:
        lesson = Lesson(Desk(store, Clips()), who="ann")
        assert list(lesson.buttons) == ["skip", "undo"] and lesson.buttons["skip"].disabled
        press(lesson, "skip", "undo")
        assert "no answer of yours" in lesson._text.value


def seen(film, frame):
    film.seek(frame)
    return np.asarray(film.convert("L"), int)


@pytest.mark.parametrize(
    ("options", "size", "centres"),
    [
        (1, (60, 40), [(20, 30)]),
        (3, (212, 40), [(20, 30), (20, 106), (20, 182)]),
        (4, (136, 96), [(20, 30), (20, 106), (76, 30), (76, 106)]),
        (5, (212, 96), [(20, 30), (20, 106), (20, 182), (76, 30), (76, 106)]),
    ],
)
def test_any_number_of_options_run_in_step_in_one_picture(options, size, centres):
    with Image.open(io.BytesIO(side_by_side(greys(options)))) as film:
        assert (film.n_frames, film.size) == (2, size)
        for frame in range(2):
            picture = seen(film, frame)
            greys_seen = [picture[centre] for centre in centres]
            expected = [20 * place + 40 + 30 * frame for place in range(options)]
            assert np.abs(np.subtract(greys_seen, expected)).max() < 8
            assert film.info["duration"] == 100


def test_more_than_two_options_have_their_names_on_them_and_fewer_do_not():
    for options, names in ((1, False), (2, False), (3, True)):
        with Image.open(io.BytesIO(side_by_side(greys(options)))) as film:
            corner = seen(film, 0)[:14, :14]
            assert bool(np.ptp(corner) > 100) == names


def test_below_a_picture_a_line_goes_along_with_it():
    clip = greys(1)
    with Image.open(io.BytesIO(side_by_side(clip, passed=[0.25, 0.25, 0.75, 0.75], parts=8))) as film:
        assert film.size[0] == 60 and film.size[1] > 60
        blue = []
        for frame in range(2):
            film.seek(frame)
            red, _, colour = np.moveaxis(np.asarray(film.convert("RGB"), int)[40 + 11 - 1 : 40 + 11 + 2], -1, 0)
            blue.append(np.flatnonzero((colour - red > 80).any(axis=0)).max())
    ends = 11, 60 - 1 - 11
    assert blue == [pytest.approx(ends[0] + share * (ends[1] - ends[0]), abs=6) for share in (0.25, 0.75)]
