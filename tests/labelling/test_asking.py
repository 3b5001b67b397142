import io

import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.labelling.asking import ask
from rlhf_gym.labelling.keys import Key, LineKeys
from rlhf_gym.labelling.orders import Typing
from rlhf_gym.labelling.ruler import ruler
from rlhf_gym.labelling.wanted import SHOWS, level_names, wanted
from rlhf_gym.preferences import Answer, Level, Ranking, Stop
from rlhf_gym.registry import KINDS

LEFT, RIGHT, TIE, SKIP = Answer
FIVE = ("bad", "poor", "fair", "good", "very good")
NUMBERS = ("1", "2", "3")


class Pressed:
    """In place of a terminal's keyboard: these keys, and then nothing."""

    def __init__(self, *keys):
        self._keys = list(keys)

    def press(self, timeout):
        return self._keys.pop(0) if self._keys else None


def asking(kind, levels=()):
    (query,) = example_queries(1, kind=kind)
    return ask(query, levels)


def heard(asked, *keys):
    keyboard = Pressed(*keys)
    return [asked.hear(keyboard, None) for _ in keys]


def heard_lines(asked, lines):
    keyboard = LineKeys(io.StringIO(lines))
    return [asked.hear(keyboard, None) for _ in lines.splitlines()]


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (("left arrow", "h", "1", "left\n", "H\n"), LEFT),
        (("right arrow", "l", "2", "right\n"), RIGHT),
        (("down arrow", "t", "=", " Tie \n"), TIE),
    ],
)
def test_a_comparison_is_answered_by_arrows_letters_and_words(keys, answer):
    assert heard(asking("comparison"), *keys) == [answer] * len(keys)


@pytest.mark.parametrize("kind", ["comparison", "rating", "switch_off"])
def test_commands_are_heard_whatever_is_asked(kind):
    words = heard_lines(asking(kind, FIVE), "skip\n \nu\nreplay\nquit\n")
    assert words == [Key.SKIP, Key.SKIP, Key.UNDO, Key.REPLAY, Key.QUIT]
    assert heard(asking(kind, FIVE), " ", "\x7f", "r", "q") == [Key.SKIP, Key.UNDO, Key.REPLAY, Key.QUIT]


def test_a_rating_is_the_number_of_a_level_or_its_word():
    keys = heard(asking("rating", FIVE), *"12345")
    assert keys == [Level(level, 5) for level in range(1, 6)]
    assert heard_lines(asking("rating", FIVE), "4\nvery good\nBAD\n") == [Level(4, 5), Level(5, 5), Level(1, 5)]
    assert heard(asking("rating-3", NUMBERS), "3") == [Level(3, 3)]


def test_where_a_word_is_the_number_of_another_level_the_number_counts():
    assert heard(asking("rating-3", ("3", "2", "1")), "1", "3") == [Level(1, 3), Level(3, 3)]


def test_when_to_switch_off_is_the_number_of_a_part_and_the_last_or_0_lets_it_run():
    assert heard(asking("switch_off"), *"13780") == [Stop(after, 8) for after in (1, 3, 7, 8, 8)]


def test_enter_lets_nothing_run_as_other_answers_are_ended_by_it():
    assert heard(asking("switch_off"), "\n", "\r") == [None, None]


@pytest.mark.parametrize(
    ("kind", "levels", "wrong", "told"),
    [
        ("rating", FIVE, "6", "'6' is no answer here: 1 bad, 2 poor, 3 fair, 4 good, 5 very good, s skip"),
        ("rating-3", NUMBERS, "0", "'0' is no answer here: 1 worst, 2, 3 best, s skip"),
        ("rating-3", NUMBERS, "good\n", "'good' is no answer here: 1 worst, 2, 3 best, s skip"),
        ("switch_off", (), "9", "'9' is no answer here: 1 to 7 stop it there, 8 let it run, s skip"),
        ("comparison", (), "3", "'3' is no answer here: 1 left, 2 right, t tie, s skip"),
    ],
)
def test_what_is_no_answer_is_told_what_is_until_there_is_one(kind, levels, wrong, told):
    asked = asking(kind, levels)
    assert heard(asked, wrong) == [None]
    assert asked.prompt.startswith(told) and "\n" not in asked.prompt
    assert [line.partition(":")[0] for line in asked.below] == [told.partition(":")[0]]
    heard(asked, "1")
    assert "no answer" not in asked.prompt + asked.below[0]


def test_a_key_that_may_be_a_slip_is_passed_over():
    asked = asking("rating", FIVE)
    assert heard(asked, "x", "left arrow", "\n") == [None] * 3 and asked.problem == ""


def test_a_key_stays_on_the_line_of_its_meaning():
    [below] = asking("rating", FIVE).below
    assert [part.replace("\N{NO-BREAK SPACE}", " ") for part in below.split("  ")] == [
        "1 bad", "2 poor", "3 fair", "4 good", "5 very good", "space skip", "backspace undo", "r replay", "q quit",
    ]  # fmt: skip


def test_each_kind_that_is_shown_has_its_way_and_those_of_segments_are_not_shown():
    assert set(KINDS) - set(SHOWS) == {"demonstration", "correction"}
    types = {kind: type(wanted(example_queries(1, kind=kind)[0])) for kind in SHOWS}
    assert {kind for kind, answer in types.items() if answer is Level} == {kind for kind in KINDS if "rating" in kind}
    assert (types["comparison"], types["ranking"], types["switch_off"]) == (Answer, Ranking, Stop)
    for kind in SHOWS:
        assert asking(kind, NUMBERS).prompt
    assert isinstance(asking("ranking"), Typing)
    with pytest.raises(ValueError, match="segment that the teacher makes"):
        asking("correction")


def test_levels_without_words_say_which_end_is_which():
    assert level_names(NUMBERS) == ["1 worst", "2", "3 best"]
    assert level_names(("no", "yes")) == ["1 no", "2 yes"]


@pytest.mark.parametrize(
    ("passed", "line"),
    [
        (None, "---1---2---3---4"),
        (0.0, "●──1───2───3───4"),
        (0.375, "━━━1━●─2───3───4"),
        (0.5, "━━━1━━━2───3───4"),
        (1.0, "━━━1━━━2━━━3━━━4"),
    ],
)
def test_a_ruler_numbers_parts_at_their_ends_and_shows_where_the_picture_is(passed, line):
    assert ruler(16, 4, passed) == line


@pytest.mark.parametrize("width", [8, 9, 23, 79])
def test_every_part_has_its_number_in_any_width(width):
    line = ruler(width, 8, 0.3)
    assert len(line) == width and [letter for letter in line if letter.isdecimal()] == [*"12345678"]
