"""The verbs for people's answers: label and quality.

What a verb needs (torch, Stable-Baselines3, Matplotlib) is imported when it runs: ``--help`` shouldn't wait for it.
"""

from __future__ import annotations

import getpass
import json
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rlhf_gym.config.passwords import url_without_password
from rlhf_gym.errors import BadInput
from rlhf_gym.verbs.arguments import MaybeRunDir, OfRun, check_named, config_of, store_of
from rlhf_gym.verbs.how_shown import say_how_shown

if TYPE_CHECKING:
    from rlhf_gym.labelling import Desk
    from rlhf_gym.preferences import Query
    from rlhf_gym.store import PreferenceStore

PAGE_WAITS = 10.0  # seconds for a store that can't be used; then the browser is told to ask again


@dataclass(frozen=True)
class Label:
    """Answer queries, of one run or of all that share a database: in the terminal, or with --web on a page."""

    run_dir: MaybeRunDir = None
    """A run directory; clips are kept in it. With --store it may be any folder; None is one named clips."""
    web: bool = False
    """Serve a page instead of asking in the terminal."""
    host: str = "127.0.0.1"
    """Address of the page; any but a loopback address needs a token, which is printed with it."""
    port: int = 8765
    """Port of the page; 0 takes a free one."""
    token: bool = False
    """Require a token on a loopback address too, as behind a proxy."""
    root_path: str = ""
    """Path under which a proxy serves the page, such as /label; whether the proxy passes it on or not."""
    allowed_host: tuple[str, ...] = ()
    """Host names under which a proxy serves the page, such as labels.example; then a token is required."""
    frame_ancestors: tuple[str, ...] = ()
    """Sites that may show the page in a frame, such as https://worker.mturk.com; none else may. With a token,
    framing needs an address with https."""
    who: str | None = None
    """Your name in the terminal; None is the name you are logged in with. The page asks everyone for theirs."""
    instructions: str = ""
    """What to look for, shown above the clips."""
    store: str | None = None
    """URL of the preference store; None is the one that the run's settings name, or its preferences.db."""
    of_run: OfRun = None
    """Which of the runs that share the store to answer; None is the run directory's, or all of them."""
    draw: Literal["auto", "replay", "states"] | None = None
    """Draw the environment, plot its observations instead, or (auto) plot them where it can't be drawn or doesn't
    replay. None is as the run's settings have it (`feedback.draw`)."""
    draw_seconds: float = 120.0
    """Seconds that drawing one clip may take before it is given up for the next one."""
    draw_processes: int | None = None
    """Most processes that draw clips at once if many people wait; None is half the machine's cores, up to 4."""
    width: int = 400
    """Width of a clip, in pixels."""
    until_input_ends: bool = False
    """End the page when standard input ends, as it does when the process that started it is gone."""
    trust: bool = False
    """Run somebody else's modules that this run's settings or queries name; needed once for each."""

    @property
    def name(self) -> str:
        """Name under which the terminal's answers are kept.

        Raises:
            BadInput: If `who` can't be one.
        """
        if self.who:
            return _checked_name(self.who)
        try:
            return getpass.getuser()
        except (KeyError, OSError, ImportError):  # an account without a name, as in containers
            return f"user {os.getuid()}" if hasattr(os, "getuid") else "user"

    @property
    def folder(self) -> Path:
        """The run directory, or else the folder of the clips."""
        return self.run_dir or Path("clips")

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """Make the desk at which people answer."""
        from rlhf_gym.labelling import ClipCache, Desk
        from rlhf_gym.labelling.wanted import SHOWS
        from rlhf_gym.runs.in_store import run_in_store

        check_named(self.run_dir, self.store)
        config = None if self.of_run else config_of(self.folder)
        patience = {"patience": PAGE_WAITS} if self.web else {}
        with (
            store_of(self.folder, self.store, self.of_run, **patience) as store,
            ClipCache(
                self.folder / "clips",
                width=self.width,
                draw=partial(self._drawn, store, config.feedback.draw if config else None),
                films=not self.web,
                seconds=self.draw_seconds,
                processes=self.draw_processes,
            ) as clips,
        ):
            clips.ahead(store.pending(2))  # the first person needn't wait for the drawing to begin
            one = run_in_store(config) if config else None if store.shows_every_run else store.runs()[0]
            told = all(run.labels is not None for run in store.runs())  # not by runs of earlier versions
            yield Desk(
                store,
                clips,
                labels=one.labels if one and not told else None,
                instructions=self.instructions or (one.instructions if one else ""),
                kinds=_shown_on_page() if self.web else SHOWS,
                levels=one.levels if one else (),
            )

    def _drawn(self, store: PreferenceStore, draw: str | None, query: Query) -> str:
        draw = self.draw or draw or store.run_of(query.id).draw
        # A terminal has plots of its own, in characters.
        return "replay" if draw == "auto" and not self.web else draw

    def run(self) -> None:
        """Hand out queries and take answers until interrupted."""
        if not self.until_input_ends and (config := config_of(self.folder)):  # otherwise the trainer has printed it
            say_how_shown(config, draw=self.draw)
        who = "" if self.web else self.name
        # The process that started the page closes its input, and reports a Ctrl-C in the terminal itself.
        silent = (KeyboardInterrupt,) if self.until_input_ends else ()
        with suppress(*silent), self.desk() as desk:
            _say_if_finished(self.folder)
            if self.web:
                if self.until_input_ends:
                    threading.Thread(target=_end_with_input, daemon=True).start()
                _serve(desk, self)
                return
            from rlhf_gym.labelling.terminal import prompt

            # A person at a terminal waits for new queries; piped answers end with the open ones.
            given = prompt(desk, who=who, wait=sys.stdin.isatty(), page=self.page)
            waiting = desk.waiting_elsewhere()
            more = f"; {waiting} more to answer on a page: {self.page}" if waiting else ""
            print(f"{given} {'answer, kept' if given == 1 else 'answers, all kept'}{more}")

    @property
    def page(self) -> str:
        """Command that serves a page for the same queries, without a password."""
        of = {"--store": self.store and url_without_password(self.store), "--run": self.of_run}
        flags = [part for flag, value in of.items() if value for part in (flag, value)]
        return shlex.join(["rlhf-gym", "label", *([str(self.run_dir)] if self.run_dir else []), "--web", *flags])


@dataclass(frozen=True)
class Quality:
    """Say how good a run's answers are: speed, side bias, consistency, agreement."""

    run_dir: MaybeRunDir = None
    """A run directory; it may be left out with --store."""
    store: str | None = None
    """URL of the preference store; None is the one that the run's settings name, or its preferences.db."""
    of_run: OfRun = None
    """Which of the runs that share the store; None is the run directory's, or the only one."""
    json: bool = False
    """Print JSON."""
    trust: bool = False
    """Run somebody else's modules that this run's settings or queries name; needed once for each."""

    def run(self) -> None:
        """Read the answers, assess them, print."""
        from rlhf_gym.labelling.desk import judge

        check_named(self.run_dir, self.store)
        with store_of(self.run_dir or Path("clips"), self.store, self.of_run) as store:
            store.check_one_run()
            found = judge(store, reliability=True)
        print(json.dumps(found.as_dict()) if self.json else found.as_text())


def _checked_name(who: str) -> str:
    from rlhf_gym.labelling import names

    if kept := names.as_kept(who):
        return kept
    raise BadInput(f"who is {who!r}; {names.EXPECTED}")


def _say_if_finished(run_dir: Path) -> None:
    """Print that a finished run asks nothing more, before anybody waits for a query."""
    from rlhf_gym.runs.directory import is_finished

    if is_finished(run_dir):
        more = f"give it more by rlhf-gym resume {shlex.quote(str(run_dir))} --labels N"
        print(f"the run in {run_dir} is finished and asks nothing more: {more}", file=sys.stderr)


def _end_with_input() -> None:
    """Interrupt this process when its standard input is closed."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGINT)


def _shown_on_page() -> tuple[str, ...]:
    """List the kinds of query that the page shows, whose requirements may not be installed."""
    from rlhf_gym.labelling.page import SHOWS

    return SHOWS


def _serve(desk: Desk, asked: Label) -> None:
    """Serve the labelling page until interrupted."""
    from rlhf_gym.labelling.page import Access, is_loopback, make_app, serve
    from rlhf_gym.runs import metrics_so_far

    access = Access(root_path=asked.root_path, allowed_hosts=asked.allowed_host, frame_ancestors=asked.frame_ancestors)
    open_to_others = asked.token or access.allowed_hosts or not is_loopback(asked.host)
    token = _token(asked.folder) if open_to_others else None
    app = make_app(desk, token=token, curve=partial(metrics_so_far, asked.folder), access=access)

    def started(address: str) -> None:
        here = f"{address.rstrip('/')}{access.root_path}/"  # under this path alone is the token's cookie sent
        opened = f"{here}?token={token}" if token else here
        print(f"{_line_of_its_own(asked)}open {opened} to label; Ctrl-C ends", flush=True)
        for host in access.allowed_hosts:
            print(f"through the proxy: https://{host}{access.root_path}/?token={token}", flush=True)

    serve(app, host=asked.host, port=asked.port, started=started)


def _line_of_its_own(asked: Label) -> str:
    """Return what to print before a line that may follow a trainer's progress bar: on a screen, it erases the bar."""
    if not asked.until_input_ends:
        return ""
    return "\r\x1b[K" if sys.stdout.isatty() else "\n"


def _token(run_dir: Path) -> str:
    """Read or make the run's token, which stays the same after a restart so that nobody is locked out."""
    from rlhf_gym.labelling.page import new_token

    file = run_dir / "token"
    run_dir.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.touch(mode=0o600)
    if not file.read_text():
        file.write_text(new_token())
    return file.read_text()
