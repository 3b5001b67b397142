import io
import os
import sys
import time

import pytest

from rlhf_gym.labelling.keys import Key, LineKeys, keyboard

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")

LEFT, RIGHT, TIE, SKIP, UNDO, REPLAY, QUIT = Key


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
    ("typed", "key"),
    [
        *[(typed, LEFT) for typed in (b"\x1b[D", b"\x1bOD", b"\x1b[1;2D", b"h", b"H", b"1")],
        *[(typed, RIGHT) for typed in (b"\x1b[C", b"\x1bOC", b"l", b"2")],
        *[(typed, TIE) for typed in (b"\x1b[B", b"\x1bOB", b"t", b"=")],
        *[(typed, SKIP) for typed in (b" ", b"s")],
        *[(typed, UNDO) for typed in (b"\x7f", b"\b", b"u")],
        (b"r", REPLAY),
        *[(typed, QUIT) for typed in (b"q", b"\x04")],
        *[(typed, None) for typed in (b"\x1b[A", b"\x1b[3~", b"x", b"\r", b"\x1a", "ä".encode(), b"\x1b", b"\x1b[")],
    ],
)
def test_keys_mean_what_they_say(terminal, typed, key):
    person, stdin = terminal
    with keyboard(stdin) as keys:
        os.write(person, typed)
        assert keys.read(0.1) is key


def test_keys_come_one_by_one_in_order_whatever_lies_between(terminal):
    person, stdin = terminal
    with keyboard(stdin) as keys:
        os.write(person, b"1\x1b[A\x1b\x1b[Cxxt")
        assert [keys.read(0.1) for _ in range(4)] == [LEFT, RIGHT, TIE, None]


def test_an_arrow_that_arrives_in_pieces_is_one_key(terminal):
    person, stdin = terminal
    with keyboard(stdin) as keys:
        os.write(person, b"\x1b")
        assert keys._take() is None
        os.write(person, b"[D")
        assert keys.read(0.1) is LEFT


def test_waiting_ends_in_time(terminal):
    with keyboard(terminal[1]) as keys:
        began = time.monotonic()
        assert keys.read(0.05) is None
        assert 0.05 <= time.monotonic() - began < 1


def test_what_was_typed_too_early_is_forgotten_save_undo_and_quit(terminal):
    person, stdin = terminal
    with keyboard(stdin) as keys:
        os.write(person, b"12t")
        assert (keys.early(), keys.read(0)) == (None, None)
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
        assert keys.read(1) is QUIT


def test_lines_are_keys_words_or_nothing_and_their_end_is_a_quit():
    with keyboard(io.StringIO("1\n L \nTie\nskip\n\nmaybe\nu")) as keys:
        assert isinstance(keys, LineKeys)
        read = [keys.read(None) for _ in range(8)]
    assert read == [LEFT, RIGHT, TIE, SKIP, None, None, UNDO, QUIT]


def test_lines_are_never_forgotten():
    keys = LineKeys(io.StringIO("1\n"))
    assert (keys.early(), keys.wait(0), keys.read(0)) == (None, None, LEFT)
