"""Whole runs whose every answer comes by way of the page or the terminal, and what is left of one that is shot at.

The answers are the oracle's: it looks the query up in the store, and a key is pressed for it.
"""

import os
import pty
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import pytest

from rlhf_gym.config import RLHFConfig
from rlhf_gym.preferences import Answer
from rlhf_gym.runs import read_run
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import OracleTeacher

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
RLHF_GYM = [sys.executable, "-m", "rlhf_gym.cli"]
PAGE_KEYS = {Answer.LEFT: "ArrowLeft", Answer.RIGHT: "ArrowRight", Answer.TIE: "ArrowDown"}
TERMINAL_KEYS = {Answer.LEFT: b"h", Answer.RIGHT: b"l", Answer.TIE: b"t"}
SMALL = {
    "env_id": "CartPole-v1",
    "labels": 40,
    "total_timesteps": 1500,
    "segment_length": 20,
    "teacher": "store",
    "query": {"rounds": 8, "first_steps": 200, "memory_steps": 1000},
    "reward": {"hidden": [8], "steps": 5, "batch_size": 4},
    "agent": {"n_envs": 4, "n_steps": 32, "batch_size": 64, "n_epochs": 1, "net_arch": [8]},
    "evaluation": {"n_episodes": 2},
}


def free_port():
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def process(command, **options):
    """A process that is ended when it is needed no more."""
    with subprocess.Popen(command, **options) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGINT)
                try:
                    running.wait(20)
                except subprocess.TimeoutExpired:
                    running.kill()


def oracle(run_dir, query_id):
    with PreferenceStore(run_dir / "preferences.db") as store:
        [said] = OracleTeacher().answer([store.query(query_id)])
    return said


def answers(run_dir):
    """Ids of the queries that were answered, once for every answer that stands."""
    if not (run_dir / "preferences.db").exists():
        return []
    with PreferenceStore(run_dir / "preferences.db") as store:
        return [preference.query.id for preference in store.preferences()]


class Browser:
    """Chromium with the page open, and somebody at the keys."""

    def __init__(self, playwright, profile, address, who="ann"):
        port = free_port()
        command = [CHROMIUM, *FLAGS, f"--remote-debugging-port={port}", f"--user-data-dir={profile}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
                break
            except Exception:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self.tab = (self.browser.contexts[0] if self.browser.contexts else self.browser.new_context()).new_page()
        self.tab.set_default_timeout(5_000)
        self.address, self.who, self.pressed = address, who, None

    def open(self):
        self.tab.goto(self.address)
        self.tab.wait_for_selector("#who:visible, #query:visible, #rest:visible")
        if self.tab.is_visible("#who"):
            self.tab.fill("#who", self.who)
            self.tab.keyboard.press("Enter")

    def look(self):
        """The query in view, None if none is, or the one just answered still is."""
        shown = self.tab.query_selector("#query:visible canvas[data-tick]")
        query = self.tab.get_attribute("#query", "data-query") if shown else None
        return None if query == self.pressed else query

    def press(self, query, run_dir):
        self.tab.wait_for_timeout(400)  # an answer that comes at once is ignored
        self.tab.keyboard.press(PAGE_KEYS[oracle(run_dir, query)])
        self.pressed = query

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def playwright():
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("chromium isn't installed (apt-get install chromium)")
    with api.sync_playwright() as running:
        yield running


def test_cartpole_is_learned_from_50_answers_given_on_the_page(playwright, tmp_path):
    run_dir, out = tmp_path / "run", tmp_path / "out.txt"
    train = ["train", "--env-id", "CartPole-v1", "--labels", "50", "--teacher", "web", "--run-dir", str(run_dir)]
    with out.open("w") as said, process([*RLHF_GYM, *train], stdout=said) as trainer:
        deadline, browser = time.monotonic() + 600, None
        while trainer.poll() is None and time.monotonic() < deadline:
            if browser is None and (found := re.search(r"open (\S+) to label", out.read_text())):
                browser = Browser(playwright, tmp_path / "profile", found.group(1))
                browser.open()
            if browser and (query := browser.look()):
                browser.press(query, run_dir)
            time.sleep(0.05)
        browser.kill()
    summary = read_run(run_dir).summary
    with PreferenceStore(run_dir / "preferences.db") as store:
        assert {p.teacher for p in store.preferences()} == {"ann"}
    assert (summary["labels"], summary["teacher"]) == (50, "web")
    assert summary["true_return_mean"] >= 475


def test_cartpole_is_learned_from_50_answers_given_at_the_terminal(tmp_path):
    run_dir = tmp_path / "run"
    train = ["train", "--env-id", "CartPole-v1", "--labels", "50", "--teacher", "terminal", "--run-dir", str(run_dir)]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    with process([*RLHF_GYM, *train], stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as trainer:
        os.close(theirs)
        deadline, pressed, at = time.monotonic() + 600, None, 0.0
        while trainer.poll() is None and time.monotonic() < deadline:
            if select.select([ours], [], [], 0.05)[0]:
                try:
                    os.read(ours, 65536)  # the pictures; unread, they would hold it up
                except OSError:
                    break
            if not (run_dir / "preferences.db").exists():
                continue
            with PreferenceStore(run_dir / "preferences.db") as store:
                shown = next(iter(store.pending(limit=1)), None)
            # Once for each query; again only if the key was pressed before anything was shown.
            if shown and (shown.id != pressed or time.monotonic() - at > 3):
                os.write(ours, TERMINAL_KEYS[oracle(run_dir, shown.id)])
                pressed, at = shown.id, time.monotonic()
        trainer.wait(60)
    os.close(ours)
    summary = read_run(run_dir).summary
    assert (summary["labels"], summary["teacher"]) == (50, "terminal")
    assert summary["true_return_mean"] >= 475


class Everybody:
    """Trainer, page and browser of one run, each in a process of its own that may be shot at any moment."""

    def __init__(self, playwright, directory, rng):
        self.playwright, self.directory, self.rng = playwright, directory, rng
        self.run_dir, self.port = directory / "run", free_port()
        self.config = directory / "settings.yaml"
        RLHFConfig.from_dict(SMALL).to_yaml(self.config)
        self.trainer = self.page = self.browser = None
        self.lives = 0

    @property
    def finished(self):
        return (self.run_dir / "summary.json").exists()

    def revive(self):
        """Start whoever is down."""
        if (self.trainer is None or self.trainer.poll() is not None) and not self.finished:
            begun = (self.run_dir / "config.yaml").exists()
            train = ["train", "--config", str(self.config), "--run-dir", str(self.run_dir)]
            self.trainer = subprocess.Popen([*RLHF_GYM, *(["resume", str(self.run_dir)] if begun else train)])
        if self.page is None or self.page.poll() is not None:
            if not (self.run_dir / "preferences.db").exists():
                return
            page = ["label", str(self.run_dir), "--web", "--port", str(self.port), "--width", "60"]
            self.page = subprocess.Popen([*RLHF_GYM, *page], stdout=subprocess.DEVNULL)
        if self.browser is None or self.browser.process.poll() is not None:
            self.lives += 1
            profile = self.directory / f"profile {self.lives}"
            self.browser = Browser(self.playwright, profile, f"http://127.0.0.1:{self.port}/", who="ann")

    def answer_one(self):
        """Answer what is in view, if something is; whatever is down meanwhile is no reason to stop."""
        from playwright.sync_api import Error

        try:
            if not self.browser or self.browser.process.poll() is not None:
                return
            if self.browser.tab.url == "about:blank" or "chrome-error" in self.browser.tab.url:
                self.browser.open()
            if query := self.browser.look():
                self.browser.press(query, self.run_dir)
        except Error:
            time.sleep(0.2)

    def shoot(self):
        """End one of them, in whatever it is doing."""
        targets = [each for each in (self.trainer, self.page) if each and each.poll() is None]
        targets += [self.browser.process] if self.browser and self.browser.process.poll() is None else []
        if not targets:
            return False
        target = self.rng.choice(targets)
        os.kill(target.pid, signal.SIGKILL)
        target.wait()
        return True

    def end(self):
        for each in (self.trainer, self.page, self.browser and self.browser.process):
            if each and each.poll() is None:
                each.kill()
                each.wait()


def test_shooting_trainer_page_and_browser_loses_no_answer_and_asks_nothing_twice(playwright, tmp_path):
    rng = random.Random(0)
    everybody = Everybody(playwright, tmp_path, rng)
    given, shots, deadline = [], 0, time.monotonic() + 900
    next_shot = time.monotonic() + 10
    try:
        while not everybody.finished and time.monotonic() < deadline:
            everybody.revive()
            # Shots are spread over the answers, so that there is something to lose, and something left to ask.
            there = len(answers(everybody.run_dir))
            if there <= 2 * shots or shots == 20:
                everybody.answer_one()
            due = time.monotonic() > next_shot and there >= 1.5 * shots
            if shots < 20 and due:
                time.sleep(rng.random() * 0.2)
                shots += everybody.shoot()
                given.append(answers(everybody.run_dir))
                next_shot = time.monotonic() + rng.random() * 6
            time.sleep(0.05)
    finally:
        everybody.end()
    given.append(answers(everybody.run_dir))
    assert shots == 20
    for earlier, later in zip(given, given[1:], strict=False):
        assert later[: len(earlier)] == earlier
    assert len(given[-1]) == len(set(given[-1])) == 40
    with PreferenceStore(everybody.run_dir / "preferences.db") as store:
        assert store.counts().asked == 40 and len(store.history()) == 40
    run = read_run(everybody.run_dir)
    assert run.summary["labels"] == 40
    assert [row["round"] for row in run.metrics] == list(range(8))
