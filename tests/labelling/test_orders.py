import io

import pytest

from rlhf_gym.labelling.keys import Key, LineKeys
from rlhf_gym.labelling.orders import Typing, read_order
from rlhf_gym.preferences import Ranking

ABC = ("a", "b", "c")


@pytest.mark.parametrize(
    ("typed", "groups"),
    [
        ("bca", ((1,), (2,), (0,))),
        ("b=ca", ((1, 2), (0,))),
        ("b = c a", ((1, 2), (0,))),
        ("a=b=c", ((0, 1, 2),)),
        (" B > C, a ", ((1,), (2,), (0,))),
    ],
)
def test_an_order_is_read_best_first(typed, groups):
    assert read_order(typed, ABC) == Ranking(groups)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("bc", "a missing; type each of a, b, c once, best first, such as bca, = between equals"),
        ("", "a and b and c missing"),
        ("abb", "b is named twice"),
        ("abd", "'d' is none of a, b, c"),
        ("=abc", "a = stands between two letters"),
        ("a==bc", "a = stands between two letters"),
        ("abc=", "a = stands between two letters"),
    ],
)
def test_what_is_no_order_is_told_what_was_expected(typed, told):
    with pytest.raises(ValueError, match=told):
        read_order(typed, ABC)


class Pressed:
    """In place of a keyboard: these keys, and then nothing."""

    def __init__(self, *keys):
        self._keys = list(keys)

    def press(self, timeout):
        return self._keys.pop(0) if self._keys else None


def heard(*keys, names=ABC):
    """All that was said by these keys, and what is typed and wrong at the end."""
    typing, keyboard = Typing(names), Pressed(*keys)
    said = [typing.hear(keyboard, None) for _ in keys]
    return [one for one in said if one], typing.typed, typing.problem


def test_keys_make_an_order_and_mistakes_are_mended():
    assert heard("b", "c", "c", "\x7f", "a", "\n") == ([Ranking(((1,), (2,), (0,)))], "bca", "")
    assert heard("b", " ", "=", " ", "c", "a", "\r")[0] == [Ranking(((1, 2), (0,)))]


def test_a_wrong_order_stays_for_mending_and_says_why():
    said, typed, problem = heard("b", "c", "\n")
    assert (said, typed) == ([], "bc") and problem.startswith("a missing; type each of a, b, c once")
    assert heard("b", "c", "\n", "a", "\n")[0] == [Ranking(((1,), (2,), (0,)))]
    assert "'x' is none of a, b, c" in heard("x")[2]


def test_something_else_may_be_said_instead():
    assert heard(" ", "s", "u", "q", "r")[0] == [Key.SKIP, Key.SKIP, Key.UNDO, Key.QUIT, Key.REPLAY]
    assert heard("\x7f") == ([], "", "")  # nothing to erase takes nothing back
    assert heard("\x04")[0] == [Key.QUIT]


def test_h_is_the_eighth_option_and_no_arrow():
    assert heard("h", names=tuple("abcdefgh")) == ([], "h", "")
    assert "'h' is none of a, b, c" in heard("h")[2]


def test_lines_are_orders_or_words_and_a_wrong_one_is_forgotten():
    typing, keys = Typing(ABC), LineKeys(io.StringIO("bc\nskip\n \nu\nb = c a\nquit\n"))
    assert typing.hear(keys, None) is None and typing.problem.startswith("a missing")
    said = [typing.hear(keys, None) for _ in range(6)]
    assert said == [Key.SKIP, Key.SKIP, Key.UNDO, Ranking(((1, 2), (0,))), Key.QUIT, Key.QUIT]
