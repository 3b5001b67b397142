import codecs
import fcntl
import io
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from rlhf_gym import RLHF, RLHFConfig, cli
from rlhf_gym.contracts import example_queries
from rlhf_gym.kinds import find_kind
from rlhf_gym.labelling import ClipCache, ClipError, Desk
from rlhf_gym.labelling.film import Film
from rlhf_gym.labelling.screen import BORROW, GIVE_BACK
from rlhf_gym.labelling.terminal import prompt
from rlhf_gym.preferences import Answer, Query, Ranking
from rlhf_gym.segments import Ending, Trajectory
from rlhf_gym.store import PreferenceStore
from tests.labelling.moving_square import Clips

LEFT, RIGHT, TIE, SKIP = Answer
DOWN, BACKSPACE = "\x1b[B", "\x7f"


class NoClips(Clips):
    """In place of clips that can't be drawn."""

    def wait(self, query, *, timeout):
        raise ClipError(f"query {query.id} can't be shown: it doesn't replay")


@pytest.fixture
def store():
    with PreferenceStore() as opened:
        opened.post(example_queries(6))
        yield opened


class Person(threading.Thread):
    """Sits at a pseudo-terminal: waits for a text to appear, presses keys or does something else, and so on."""

    def __init__(self, master, script):
        super().__init__()
        self._master, self._script = master, script
        self.shown, self.missed, self._seen = "", None, 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may come in two parts

    def run(self):
        for text, keys in self._script:
            if not self._sees(text):
                self.missed = text
                self.press("q")
                break
            keys(self) if callable(keys) else self.press(keys)
        self.watch(quiet=5.0)

    def press(self, keys):
        os.write(self._master, keys.encode())

    def resize(self, columns, rows):
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def watch(self, *, quiet):
        """Look on until nothing has come for so many seconds."""
        while self._more(quiet):
            pass

    def _sees(self, text):
        until = time.monotonic() + 60  # a busy machine is slow to start a process
        while (found := self.shown.find(text, self._seen)) < 0:
            if time.monotonic() > until or not self._more(until - time.monotonic()):
                return False
        self._seen = found + len(text)
        return True

    def _more(self, seconds):
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            came = os.read(self._master, 65536)
        except OSError:  # the other end was closed
            return False
        self.shown += self._decoder.decode(came)
        return bool(came)


def at_terminal(script, run, *, size=(80, 24), encoding="utf-8"):
    """Runs `run(stdin, stdout)` at a terminal where a person follows a script: what it gave, and what was shown."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    person = Person(master, script)
    person.resize(*size)
    person.start()
    with open(slave, closefd=False) as stdin, open(slave, "w", encoding=encoding, closefd=False) as stdout:
        try:
            given = run(stdin, stdout)
        finally:
            after = termios.tcgetattr(slave)
            stdout.flush()
            os.close(slave)
            person.join()
            os.close(master)
    assert person.missed is None, f"{person.missed!r} never came; shown was ...{person.shown[-500:]!r}"
    assert after == before
    return given, person.shown


@pytest.fixture
def sit(store, monkeypatch):
    """Lets a person who follows a script sit at the prompt; gives what `prompt` returned, and what was shown."""

    def run(*script, clips=None, term="xterm-256color", size=(80, 24), encoding="utf-8", wait=False):
        monkeypatch.setenv("TERM", term)
        desk = Desk(store, clips or Clips(), labels=5, instructions="keep the pole up")

        def answer(stdin, stdout):
            return prompt(desk, who="ann", stdin=stdin, stdout=stdout, wait=wait)

        return at_terminal(script, answer, size=size, encoding=encoding)

    return run


def said(store):
    return [(p.query.id, p.answer) for p in store.preferences()]


READY, CLEAR = "replay", "\x1b[2J"


def test_each_key_is_an_answer_and_the_progress_goes_along(sit, store):
    given, shown = sit(
        ("0 of 5 answered, 0 by ann; 6 waiting", ""),
        (READY, "\x1b[D"),
        ("1 of 5 answered, 1 by ann, ", ""),
        (READY, "2"),
        ("2 of 5 answered", ""),
        (READY, "="),
        ("3 of 5 answered", ""),
        (READY, " "),
        ("2 waiting", ""),
        (READY, "q"),
    )
    assert given == 4
    assert said(store) == [("0-0", LEFT), ("0-1", RIGHT), ("0-2", TIE), ("0-3", SKIP)]
    assert "keep the pole up" in shown and " s each (median)" in shown
    assert "left  /clips/0-0/left.webp" in shown and "right /clips/0-0/right.webp" in shown


def test_the_moment_of_seeing_is_written_down(sit, store):
    began = time.time()
    sit((READY, "1"), (READY, "q"))
    [preference] = store.preferences()
    assert began <= preference.shown_at <= preference.answered_at <= time.time()
    assert preference.teacher == "ann"


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_a_clock_set_back_while_a_clip_is_in_view_makes_no_negative_seconds(sit, store, monkeypatch, term):
    real, off = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + off[0])

    def set_back(person):
        time.sleep(0.3)  # it is in view
        off[0] = -3600.0
        person.press("1")

    _, shown = sit((READY, set_back), ("1 of 5 answered", ""), (READY, "q"), term=term)
    [preference] = store.preferences()
    assert 0 <= preference.answered_at - preference.shown_at < 60
    assert " s each (median)" in shown and "-36" not in shown


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_what_a_page_alone_can_show_is_said_to_wait_there(sit, store, monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    store.drop([f"0-{i}" for i in range(6)])
    store.post(example_queries(2, seed=1, kind="demonstration"))
    _, shown = sit(("2 more to answer on a page: rlhf-gym label --web", "q"), term=term, wait=True, size=(200, 24))
    assert "nothing to answer right now" in shown


def test_undo_shows_the_last_query_again_and_its_new_answer_stands(sit, store):
    given, shown = sit((READY, "1"), (READY, "1"), (READY, BACKSPACE), ("taken back", ""), (READY, "2"), (READY, "q"))
    assert given == 2
    assert said(store) == [("0-0", LEFT), ("0-1", RIGHT)]
    assert shown.count("/clips/0-1/left.webp") == 2


def test_undo_reaches_back_to_an_earlier_sitting(sit, store):
    sit((READY, "1"), (READY, "q"))
    given, _ = sit(("1 of 5 answered", ""), (READY, "u"), ("taken back", ""), (READY, "q"))
    assert (given, said(store)) == (0, [])


def test_with_nothing_to_undo_the_query_stays(sit, store):
    given, _ = sit((READY, "u"), ("there is no answer of yours to take back", ""), (READY, "1"), (READY, "q"))
    assert (given, said(store)) == (1, [("0-0", LEFT)])


def test_it_ends_when_there_is_nothing_left_and_leaves_the_terminal_sane(sit, store):
    given, shown = sit(*[(READY, "1")] * 6)
    assert (given, len(said(store))) == (6, 6)
    assert shown.startswith(BORROW) and shown.endswith(GIVE_BACK)
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1


def test_who_waits_gets_queries_that_are_posted_later(sit, store):
    def post(_):
        store.post(example_queries(1, seed=1))

    rest = "nothing to answer right now"
    given, _ = sit(*[(READY, "1")] * 6, (rest, post), (READY, "2"), (rest, "q"), wait=True)
    assert given == 7 and said(store)[-1] == ("1-0", RIGHT)


def test_who_rests_may_undo_and_quit(sit, store):
    rest = ("nothing to answer right now", "u")
    given, _ = sit(*[(READY, "1")] * 6, rest, (READY, "="), ("nothing to answer right now", "q"), wait=True)
    assert given == 6 and said(store)[-1] == ("0-5", TIE)


def test_what_is_not_answered_goes_back_to_others(sit, store):
    sit((READY, "q"))
    assert [query.id for query in store.claim("bob", n=6)] == [f"0-{i}" for i in range(6)]


def test_a_query_that_went_to_somebody_else_meanwhile_is_left_to_them(sit, store):
    def too_late(person):
        store.record("0-0", TIE, teacher="bob")
        person.press("1")

    given, _ = sit((READY, too_late), ("query 0-0 was answered by bob meanwhile", ""), (READY, "q"))
    assert (given, said(store)) == (0, [("0-0", TIE)])


def test_the_pictures_move_stop_when_nobody_answers_and_move_again_by_replay(sit, monkeypatch):
    monkeypatch.setattr("rlhf_gym.labelling.faces.LOOPS", 2)
    lengths = []

    def look_on(person):
        person.watch(quiet=0.5)
        lengths.append(len(person.shown))

    def again(person):
        look_on(person)
        person.press("r")

    _, shown = sit((READY, again), ("\x1b[", look_on), ("", "q"))
    first, second = shown[: lengths[0]], shown[lengths[0] : lengths[1]]
    # Two loops of three pictures that differ in this line; some are left out if the machine is slow.
    assert all(3 <= part.count("\x1b[8;1H") <= 6 for part in (first, second))


def test_ctrl_d_ends_it(sit, store):
    assert sit((READY, "1"), (READY, "\x04"))[0] == 1


def test_after_a_change_of_size_all_is_drawn_anew_and_nothing_sticks_out(sit):
    sizes = [(80, 24), (50, 16), (30, 8), (200, 60)]

    def to(size):
        return lambda person: person.resize(*size)

    _, shown = sit(
        *[(READY, to(size)) for size in sizes[1:2]], (READY, to(sizes[2])), (CLEAR, to(sizes[3])), (READY, "q")
    )
    for (columns, rows), part in zip(sizes, shown.split(CLEAR)[1:], strict=True):
        lines = re.findall(r"\x1b\[(\d+);1H([^H]*?)(?=\x1b\[\d+;1H|\Z)", part)
        assert max(int(row) for row, _ in lines) <= rows
        assert max(len(re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", line)) for _, line in lines) <= columns


@pytest.mark.parametrize(
    ("more", "pictures"),
    [
        ({}, True),
        ({"term": "dumb"}, False),
        ({"encoding": "ascii"}, False),
        ({"size": (39, 24)}, False),
        ({"size": (80, 13)}, False),
        ({"size": (0, 0)}, True),  # as where nobody has told the terminal its size: 80 by 24
    ],
)
def test_pictures_are_shown_where_they_can_be_and_plots_elsewhere(sit, store, more, pictures):
    given, shown = sit((READY, DOWN), (READY, "q"), **more)
    assert (given, said(store)) == (1, [("0-0", TIE)])
    assert ("▀" in shown and BORROW in shown) is pictures
    assert ("s0  |" in shown) is not pictures
    if not pictures:
        assert "\x1b" not in shown and shown.isascii()


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_without_a_clip_there_is_a_plot_and_the_reason(sit, term):
    _, shown = sit((READY, "q"), clips=NoClips(), term=term)
    assert "query 0-0 can't be shown: it doesn't replay" in shown and "s0  |" in shown


@pytest.mark.parametrize(("says", "code"), [("truecolor", "48;2;"), ("24bit", "48;2;"), ("", "48;5;")])
def test_colours_are_those_the_terminal_has(sit, monkeypatch, says, code):
    monkeypatch.setenv("COLORTERM", says)
    _, shown = sit((READY, "q"))
    assert code in shown and {"48;2;": "48;5;", "48;5;": "48;2;"}[code] not in shown


def test_without_a_terminal_lines_do(store):
    stdout = io.StringIO()
    desk = Desk(store, Clips())
    given = prompt(desk, who="ann", stdin=io.StringIO("1\nwhat\nright\nr\nt\n"), stdout=stdout)
    assert (given, said(store)) == (3, [("0-0", LEFT), ("0-1", RIGHT), ("0-2", TIE)])
    shown = stdout.getvalue()
    assert shown.count("/clips/0-2/left.webp") == 2  # shown again by r
    assert shown.count("1 left, 2 right, t tie, s skip, u undo, r replay, q quit?") == 6  # once more after "what"
    assert "3 answered, 3 by ann" in shown


CHILD = """
import fcntl, signal, sys, termios
signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored where the tests run in the background
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C reaches it
sys.path.insert(0, sys.argv[2])
from tests.labelling.moving_square import Clips
from rlhf_gym.store import PreferenceStore
from rlhf_gym.labelling import Desk
from rlhf_gym.labelling.terminal import prompt
with PreferenceStore("sqlite:///" + sys.argv[1]) as store:
    prompt(Desk(store, Clips()), who="ann")
"""


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda person, child: person.press("\x03"), -signal.SIGINT),
        (lambda person, child: child.terminate(), 128 + signal.SIGTERM),
    ],
    ids=["Ctrl-C", "terminated"],
)
def test_an_interrupt_keeps_every_answer_and_leaves_the_terminal_sane(tmp_path, end, status):
    with PreferenceStore(tmp_path / "p.db") as store:
        store.post(example_queries(3))
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    command = [sys.executable, "-c", CHILD, str(tmp_path / "p.db"), str(Path(__file__).parents[2])]
    environment = {**os.environ, "TERM": "xterm", "LANG": "C.UTF-8", "PYTHONUTF8": "1"}
    child = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    person = Person(master, [(READY, "1"), (READY, lambda person: end(person, child))])
    person.start()
    assert child.wait(180) == status
    assert termios.tcgetattr(slave) == before
    os.close(slave)
    person.join()
    os.close(master)
    assert person.missed is None and person.shown.rstrip().endswith(GIVE_BACK)
    with PreferenceStore(tmp_path / "p.db") as store:
        assert said(store) == [("0-0", LEFT)]
        assert [query.id for query in store.claim("bob", n=3)] == ["0-1", "0-2"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run directory with four queries about CartPole and no answer."""
    place = tmp_path_factory.mktemp("runs") / "cartpole"
    with closing(RLHF(RLHFConfig.for_env("CartPole-v1", labels=4, run_dir=place))) as rlhf:
        rlhf.ask(4)
    return place


def test_the_verb_shows_real_clips_and_takes_answers(run_dir, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")

    def label(stdin, stdout):
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert cli.main(["label", str(run_dir), "--who", "ann", "--instructions", "keep the pole up"]) == 0

    _, shown = at_terminal([(READY, "1"), (READY, DOWN), (READY, "q")], label, size=(200, 30))
    with PreferenceStore(run_dir / "preferences.db") as store:
        assert [(p.answer, p.teacher) for p in store.preferences()] == [(LEFT, "ann"), (TIE, "ann")]
    assert "keep the pole up" in shown and "▀" in shown
    named = re.findall(r"(?:left|right) +(/\S+\.webp)\x1b", shown)
    assert len(named) == 6
    for file in named:
        with Image.open(file) as film:
            assert film.n_frames > 1
    assert shown.endswith("2 answers, all kept\r\n")


def test_the_verb_takes_lines_from_a_pipe_and_ends_when_nothing_is_left(run_dir, tmp_path, monkeypatch, capsys):
    copy = shutil.copytree(run_dir, tmp_path / "copy")
    for given, told in (("right\n", "1 answer, kept"), ("right\n" * 99, "1 answer, kept"), ("right\n", "0 answers")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        assert cli.main(["label", str(copy), "--who", "bob"]) == 0
        assert told in capsys.readouterr().out
    with PreferenceStore(copy / "preferences.db") as store:
        assert [p.answer for p in store.preferences() if p.teacher == "bob"] == [RIGHT] * (4 - 2)


def test_the_verb_says_what_waits_for_a_page_and_refuses_names_that_can_not_be_kept(tmp_path, monkeypatch, capsys):
    with PreferenceStore(tmp_path / "preferences.db") as store:
        store.post(example_queries(2, kind="demonstration"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert cli.main(["label", str(tmp_path), "--who", "bob"]) == 0
    told = f"0 answers, all kept; 2 more to answer on a page: rlhf-gym label {tmp_path} --web\n"
    assert capsys.readouterr().out.endswith(told)
    assert cli.main(["label", str(tmp_path), "--who", "b\x1bob"]) == 2
    assert r"who is 'b\x1bob'; use 1 to 60 visible characters" in capsys.readouterr().err


# Rankings


class ManyClips(Clips):
    """In place of clips: three pictures an option, in which a square moves."""

    def wait(self, query, *, timeout):
        clip = super().wait(query, timeout=timeout)
        return SimpleNamespace(**{**vars(clip), "order": {name: [0, 1, 2] for name in query.names}})


@pytest.fixture
def rank(monkeypatch):
    """Lets a person who follows a script rank; gives the answers that stand, and what was shown."""

    def run(*script, clips=None, term="xterm-256color", size=(80, 24), options=(3, 4)):
        monkeypatch.setenv("TERM", term)
        queries = [query for query in example_queries(6, kind="ranking") if len(query.options) in options]
        with PreferenceStore() as store:
            store.post(queries)
            desk = Desk(store, clips or ManyClips(), kinds=("comparison", "ranking"))

            def answer(stdin, stdout):
                return prompt(desk, who="ann", stdin=stdin, stdout=stdout)

            _, shown = at_terminal(script, answer, size=size)
            return [p.answer for p in store.preferences()], shown

    return run


ORDER = "order"


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_an_order_is_typed_best_first_and_seen_while_it_is(rank, term):
    answers, shown = rank((ORDER, "bca\n"), ("c, d once", "d = b c a\n"), term=term)
    assert answers == [Ranking(((1,), (2,), (0,))), Ranking(((1, 3), (2,), (0,)))]
    assert "bca" in shown and ("▀" in shown) is (term != "dumb")


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_a_wrong_order_is_told_what_was_expected_and_may_be_mended(rank, term):
    wrong = "c is named twice; type each of a"
    answers, _ = rank((ORDER, "bcc\n"), (wrong, "\x7fa\n"), (ORDER, "q"), term=term)
    assert answers == [Ranking(((1,), (2,), (0,)))]


def test_a_ranking_may_be_skipped_and_taken_back(rank):
    answers, shown = rank(
        (ORDER, " "), ("c, d once", "u"), ("taken back", ""), (ORDER, "cba\n"), ("c, d once", "s"), options=(3, 4)
    )
    assert answers == [Ranking(((2,), (1,), (0,))), SKIP]


@pytest.mark.parametrize("size", [(80, 24), (40, 14), (200, 60)])
def test_eight_clips_fit_on_the_screen_and_what_to_type_stays_below_them(rank, size):
    answers, shown = rank((ORDER, "hgfedcba\n"), options=(8,), size=size)
    assert answers == [Ranking(tuple((option,) for option in range(7, -1, -1)))]
    lines = re.findall(r"\x1b\[(\d+);1H([^H]*?)(?=\x1b\[\d+;1H|\Z)", shown.split(CLEAR)[1])
    assert max(int(row) for row, _ in lines) <= size[1]
    assert max(len(re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", line)) for _, line in lines) <= size[0]


def test_without_clips_eight_options_are_plotted_and_the_reason_told(rank):
    _, shown = rank((ORDER, "q"), clips=NoClips(), options=(8,))
    assert "can't be shown: it doesn't replay" in shown and "|" in shown


def test_orders_come_from_a_pipe_too():
    typed, stdout = "bc\nb = c a\nu\nbca\nwhat\ns\n", io.StringIO()
    with PreferenceStore() as store:
        store.post(example_queries(2, kind="ranking"))
        desk = Desk(store, ManyClips(), kinds=("ranking",))
        assert prompt(desk, who="ann", stdin=io.StringIO(typed), stdout=stdout) == 2
        said = [given.answer for given in store.history()]
        assert said == [Ranking(((1, 2), (0,))), None, Ranking(((1,), (2,), (0,))), SKIP]
    assert "a missing; type each of a, b, c once, best first, such as bca" in stdout.getvalue()
    assert "'w' is none of a, b, c, d; type each of a, b, c, d once" in stdout.getvalue()


def test_real_clips_of_a_ranking_are_drawn_and_run_in_step(tmp_path):
    walk = Trajectory(np.arange(40.0).reshape(20, 2), np.zeros(19), np.zeros(19), Ending.TERMINATED)
    query = Query(tuple(walk.cut(start, 8) for start in (0, 5, 14)), id="r", kind="ranking")
    with ClipCache(tmp_path, draw="states", width=64) as clips:
        clip = clips.wait(query)
        assert sorted(path.name for path in clip.directory.glob("*.jpg")) == ["a.jpg", "b.jpg", "c.jpg"]
        assert len({len(clip.frames(name)) for name in query.names}) == 1
        film = Film(query, clip, columns=80, rows=30, true_colour=True)
        assert len({len(film.lines(tick)) for tick in range(len(film))}) == 1
        assert "c: ended" in "".join(film.lines(len(film) - 1))


# Ratings, and when to switch off

FIVE = ("bad", "poor", "fair", "good", "very good")
BOTH = pytest.mark.parametrize("term", ["xterm-256color", "dumb"])


@pytest.fixture
def said_at_prompt(monkeypatch):
    """Lets a person who follows a script answer queries of one kind; gives what is stored, and what was shown."""

    def run(kind, *script, levels=(), term="xterm-256color", size=(80, 24), clips=None):
        monkeypatch.setenv("TERM", term)
        with PreferenceStore() as store:
            store.post(example_queries(4, kind=kind))
            desk = Desk(store, clips or ManyClips(), kinds=(kind,), levels=levels)

            def answer(stdin, stdout):
                return prompt(desk, who="ann", stdin=stdin, stdout=stdout)

            _, shown = at_terminal(script, answer, size=size)
            texts = [find_kind(kind).text(p.answer) for p in store.preferences()]
            return texts, shown.replace("\N{NO-BREAK SPACE}", " ")

    return run


@BOTH
def test_a_rating_is_one_key_and_the_levels_have_the_researchers_words(said_at_prompt, term):
    keys = [(READY, "4"), (READY, "1"), (READY, "s"), (READY, "5")]
    texts, shown = said_at_prompt("rating", *keys, levels=FIVE, term=term)
    assert texts == ["4/5", "1/5", "skip", "5/5"]
    assert "1 bad" in shown and "5 very good" in shown and ("▀" in shown) is (term != "dumb")


@BOTH
def test_texts_of_a_store_are_shown_as_text_and_not_obeyed(monkeypatch, term):
    monkeypatch.setenv("TERM", term)
    evil = "\x1b]0;pwn\x07\x1b[31mbad"
    with PreferenceStore() as store:
        store.post([replace(query, id=f"{evil}{i}") for i, query in enumerate(example_queries(2, kind="rating-3"))])
        desk = Desk(
            store, ManyClips(), kinds=("rating-3",), levels=(evil, "fair", "good"), instructions=evil + "\nnext"
        )

        def answer(stdin, stdout):
            return prompt(desk, who=f"ann{evil}", stdin=stdin, stdout=stdout)

        _, shown = at_terminal([(READY, "1"), (READY, "q")], answer, size=(200, 24))
    assert "\x07" not in shown and "\x1b]" not in shown and "\x1b[31m" not in shown
    assert r"\x1b]0;pwn\x07\x1b[31mbad" in shown and "\\nnext" not in shown


@BOTH
def test_a_rating_may_be_taken_back_and_shown_again(said_at_prompt, term):
    script = [(READY, "3"), (READY, "ru"), ("taken back", ""), (READY, "2"), (READY, "q")]
    texts, shown = said_at_prompt("rating-3", *script, term=term)
    assert texts == ["2/3"]
    assert "1 worst" in shown and "3 best" in shown


@BOTH
def test_of_a_level_that_there_is_not_it_is_told_and_the_query_stays(said_at_prompt, term):
    texts, shown = said_at_prompt("rating-3", (READY, "4"), ("is no answer here", "3"), (READY, "q"), term=term)
    assert texts == ["3/3"]


@BOTH
def test_when_to_switch_off_is_one_key_and_the_parts_are_numbered(said_at_prompt, term):
    keys = [(READY, "3"), (READY, "8"), (READY, "0"), (READY, " ")]
    texts, shown = said_at_prompt("switch_off", *keys, term=term)
    assert texts == ["3/8", "8/8", "8/8", "skip"]
    assert ("●───" if term != "dumb" else "---7---") in shown


@BOTH
def test_a_stop_may_be_taken_back_and_9_is_none(said_at_prompt, term):
    script = [(READY, "3"), (READY, "u"), ("taken back", ""), (READY, "9"), ("is no answer here", "5"), (READY, "q")]
    assert said_at_prompt("switch_off", *script, term=term)[0] == ["5/8"]


@pytest.mark.parametrize("size", [(80, 24), (40, 14), (200, 60)])
def test_the_numbered_parts_fit_below_the_picture(said_at_prompt, size):
    _, shown = said_at_prompt("switch_off", (READY, "q"), size=size)
    plain = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "\n", shown)
    parts = {line for line in plain.splitlines() if "7" in line and ("━" in line or "─" in line)}
    assert parts and all(8 <= len(line) < size[0] for line in parts)
    rows = [int(row) for row in re.findall(r"\x1b\[(\d+);1H", shown)]
    assert max(rows) <= size[1]


def test_without_a_clip_the_parts_of_the_plot_are_numbered(said_at_prompt):
    _, shown = said_at_prompt("switch_off", (READY, "q"), clips=NoClips())
    assert "doesn't replay" in shown and "s0  |" in shown and "---8" in shown


@pytest.mark.parametrize(
    ("kind", "typed", "texts", "told"),
    [
        ("rating", "4\nskip\nu\n7\nvery good\n2\n", ["4/5", "5/5", "2/5"], "'7' is no answer here: 1 bad, 2 poor"),
        ("switch_off", "4\n\nskip\nu\n9\n0\n1\n", ["4/8", "8/8", "1/8"], "'9' is no answer here: 1 to 7 stop it"),
    ],
)
def test_lines_from_a_pipe_rate_and_switch_off_too(kind, typed, texts, told):
    stdout = io.StringIO()
    with PreferenceStore() as store:
        store.post(example_queries(4, kind=kind))
        desk = Desk(store, ManyClips(), kinds=(kind,), levels=FIVE)
        assert prompt(desk, who="ann", stdin=io.StringIO(typed), stdout=stdout) == 3
        assert [find_kind(kind).text(p.answer) for p in store.preferences()] == texts
    assert told in stdout.getvalue() and "q quit? 4\n" in stdout.getvalue()


def test_kinds_may_come_in_turn_and_each_is_asked_in_its_way():
    kinds = ("comparison", "rating", "ranking", "switch_off")
    stdout = io.StringIO()
    with PreferenceStore() as store:
        store.post([replace(example_queries(1, kind=kind)[0], id=kind) for kind in kinds])
        desk = Desk(store, ManyClips(), kinds=kinds)
        assert prompt(desk, who="ann", stdin=io.StringIO("1\n1\nacb\n1\n"), stdout=stdout) == 4
        texts = {p.query.id: find_kind(p.query.kind).text(p.answer) for p in store.preferences()}
    assert texts == {"comparison": "left", "rating": "1/5", "ranking": "[0,2,1]", "switch_off": "1/8"}


def test_a_clip_that_ends_early_has_its_parts_over_when_it_does(tmp_path):
    walk = Trajectory(np.arange(20.0).reshape(10, 2), np.zeros(9), np.zeros(9), Ending.TERMINATED)
    query = Query((walk.cut(5, 8),), id="s", kind="switch_off")  # four of eight steps
    with ClipCache(tmp_path, draw="states", width=64) as clips:
        film = Film(query, clips.wait(query), columns=41, rows=20, true_colour=True, parts=8)
    lines = ["\n".join(film.lines(tick)) for tick in range(len(film))]
    over = [line.count("━") for line in lines]
    assert over[0] == 0 and over == sorted(over)
    first = next(tick for tick, line in enumerate(lines) if "ended" in line)
    assert over[first - 2] < over[first - 1] == over[first] == over[-1]
    assert "─" not in lines[first - 1]
    assert not any(re.search(r"\ba\b", line) for line in lines)  # one option alone needs no name
