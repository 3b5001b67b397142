import io
import os
import sys
import time

import pytest

from rlhf_gym.labelling.keys import COMMANDS, Key, LineKeys, keyboard

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")

SKIP, UNDO, REPLAY, QUIT = Key


@pytest.fixture
def terminal():
    """Both ends of a pseudo-terminal: where a person types, and where it is read."""
    import pty

    person, program = pty.openpty()
    with open(program, closefd=False) as stdin:
        yield person, stdin
    for end in (person, program):
        os.close(end)


@pytest.mark.parametrize(
    ("typed", "pressed"),
    [
        *[(typed, "left arrow") for typed in (b"\x1b[D", b"\x1bOD", b"\x1b[1;2D")],
        *[(typed, "right arrow") for typed in (b"\x1b[C", b"\x1bOC")],
        *[(typed, "down arrow") for typed in (b"\x1b[B", b"\x1bOB")],
        *[(letter.encode(), letter) for letter in "h1= \x7f\n\x04"],
        (b"H", "h"),
        *[(typed, None) for typed in (b"\x1b[A", b"\x1b[3~", b"\x1b", b"\x1b[")],
    ],
)
def test_keys_have_a_name_each_save_escape_sequences_that_are_no_arrow_below_or_beside(terminal, typed, pressed):
    person, stdin = terminal
    with keyboard(stdin) as keys:
        os.write(person, typed)
        assert keys.press(0.1) == pressed


@pytest.mark.parametrize(
    ("said", "key"),
    [
        *[(said, SKIP) for said in (" ", "s", "skip")],
        *[(said, UNDO) for said in ("\x7f", "\b", "u", "undo")],
        *[(said, REPLAY) for said in ("r", "replay")],
        *[(said, QUIT) for said in ("q", "\x04", "quit")],
        *[(said, None) for said in ("", "x", "1", "left arrow", "\n")],
    ],
)
def test_commands_are_keys_or_words(said, key):
    assert COMMANDS.get(said) is key


def test_keys_come_one_by_one_in_order_whatever_lies_between(terminal):
    person, stdin = terminal
    with keyboard(stdin) as keys:
        os.write(person, b"1\x1b[A\x1b\x1b[Cxt")
        assert [keys.press(0.1) for _ in range(6)] == ["1", "\x1b", "right arrow", "x", "t", None]


def test_an_arrow_that_arrives_in_pieces_is_one_key(terminal):
    person, stdin = terminal
    with keyboard(stdin) as keys:
        os.write(person, b"\x1b")
        assert keys._take() is None
        os.write(person, b"[D")
        assert keys.press(0.1) == "left arrow"


def test_waiting_goes_on_until_a_command(terminal):
    person, stdin = terminal
    with keyboard(stdin) as keys:
        os.write(person, b"1x")
        assert keys.wait(0.05) is None
        os.write(person, b"1q")
        assert keys.wait(20) is QUIT


def test_waiting_ends_in_time(terminal):
    with keyboard(terminal[1]) as keys:
        began = time.monotonic()
        assert keys.press(0.05) is None
        assert 0.05 <= time.monotonic() - began < 1


def test_what_was_typed_too_early_is_forgotten_save_undo_and_quit(terminal):
    person, stdin = terminal
    with keyboard(stdin) as keys:
        os.write(person, b"12t")
        assert (keys.early(), keys.press(0)) == (None, None)
        os.write(person, b"1u")
        assert keys.early() is UNDO


def test_the_terminal_is_as_before_and_nothing_typed_is_left_for_the_shell(terminal):
    import termios

    person, stdin = terminal
    before = termios.tcgetattr(stdin)
    with pytest.raises(RuntimeError), keyboard(stdin):
        assert termios.tcgetattr(stdin) != before
        os.write(person, b"rm -r\n")
        raise RuntimeError
    assert termios.tcgetattr(stdin) == before
    os.set_blocking(stdin.fileno(), False)
    with pytest.raises(BlockingIOError):
        os.read(stdin.fileno(), 1)


def test_a_terminal_that_has_hung_up_is_a_quit():
    import pty

    person, program = pty.openpty()
    with open(program) as stdin, keyboard(stdin) as keys:
        os.close(person)
        assert COMMANDS[keys.press(1)] is QUIT


def test_lines_come_whole_and_their_end_is_a_quit():
    with keyboard(io.StringIO("1\n L \n\nTie")) as keys:
        assert isinstance(keys, LineKeys)
        assert [keys.press(None) for _ in range(5)] == ["1\n", " L \n", "\n", "Tie\n", "\x04"]


def test_lines_are_never_forgotten():
    keys = LineKeys(io.StringIO("1\n"))
    assert (keys.early(), keys.wait(0), keys.press(0)) == (None, None, "1\n")
