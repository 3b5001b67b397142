"""A message is one line that any screen shows."""

import pytest

from rlhf_gym.errors import MOST, BadInput


@pytest.mark.parametrize(
    ("came", "shown"),
    [
        ("two\nlines", "two lines"),
        ("\x1b]0;owned\x07red", "\\x1b]0;owned\\x07red"),
        ("half a \ud800 character", "half a \\ud800 character"),
        ("größer − 3 字", "größer − 3 字"),
    ],
)
def test_a_message_is_shown_and_obeyed_by_no_terminal(came, shown):
    assert str(BadInput(came)) == shown


def test_of_a_long_message_the_middle_is_left_out():
    text = str(BadInput("a" * MOST + "b" * MOST))
    assert text == f"{'a' * (MOST // 2)} ... {'b' * (MOST // 2)}"
