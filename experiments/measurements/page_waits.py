"""How long does a person at the labelling page wait? `python -m experiments.measurements.page_waits`.

A new run of each task posts queries of its untrained policy. Then `rlhf-gym label DIR --web` serves them on this
machine at its default clip size, and gets the requests of the page's own script in the same order: an answer is sent,
the next query is requested, and while the person thinks, the clip after it is loaded. A wait is the time from sending
an answer until all pictures of the next pair have come. Decoding them, some milliseconds in the browser, is left out.
The first pair is reported separately: its wait begins when the page can be opened, and the server has only just begun
to draw. Every row has its own run, server and folder of clips. MuJoCo draws by EGL, in software where there is no
graphics card.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np
import tyro
from tqdm import tqdm

from experiments.harness.made import measured_last
from experiments.harness.older import listed_older, warning
from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.labelling import ClipCache
from rlhf_gym.runs.provenance import provenance
from rlhf_gym.store import PreferenceStore
from rlhf_gym.sweeps.records import append_rows

ENV_IDS = ("CartPole-v1", "HalfCheetah-v5")
ASKED_MS = 200  # the median should be below
AHEAD = 2  # clips drawn for a person besides the one in view
COLUMNS = {
    "env_id": "task",
    "thinking_s": "thinking, s",
    "answers": "answers",
    "median_ms": "median wait, ms",
    "p90_ms": "90th percentile",
    "longest_ms": "longest",
    "first_ms": "first pair, ms",
    "drawing_s": "drawing one clip, s",
    "load": "load average before",
}


class Page:
    """A client that requests what static/page.js and static/player.js request, without showing it.

    Args:
        port: Of the page.
        who: The person's name.
        left: Once it is set, a request for a clip that isn't drawn yet raises an OSError instead of being repeated.
    """

    def __init__(self, port: int, who: str = "somebody", *, left: threading.Event | None = None) -> None:
        self._address, self._who, self._left = f"http://127.0.0.1:{port}", {"who": who}, left or threading.Event()
        self._opener = build_opener(ProxyHandler({}))
        self._lines = ThreadPoolExecutor(6)  # connections that a browser has to one server
        self._clips: dict[str, Future[None]] = {}

    def ask(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        """GET without a body, POST with one; repeat as long as the status is 202."""
        told = None if body is None else json.dumps(body).encode()
        request = Request(self._address + path, told, {"content-type": "application/json"})
        while True:
            with self._opener.open(request, timeout=60) as response:
                content: bytes = response.read()
            if response.status != 202:
                return content
            if self._left.is_set():
                raise OSError("the page was left")

    def next(self) -> str | None:
        """Get the next query and load its clip; begin to load the clip of the query after it.

        Returns:
            The query's id; None if no query is open.
        """
        told = json.loads(self.ask("/api/next", self._who))
        if told["query"] is None:
            return None
        query_id = str(told["query"]["id"])
        self._load(query_id).result()
        if told["ahead"]:
            self._load(told["ahead"][0])
        return query_id

    def answer(self, query_id: str, seconds: float, said: str = "left") -> None:
        """Send an answer."""
        self.ask("/api/answers", {**self._who, "query_id": query_id, "answer": said, "seconds": seconds})

    def undo(self) -> str | None:
        """Take back the last answer, and return its query's id; None if there was none."""
        query = json.loads(self.ask("/api/undo", self._who))["query"]
        return query and str(query["id"])

    def close(self) -> None:
        """Wait for the clips that are being loaded."""
        self._lines.shutdown()

    def _load(self, query_id: str) -> Future[None]:
        if query_id not in self._clips:
            self._clips[query_id] = self._lines.submit(self._fetch, query_id)
        return self._clips[query_id]

    def _fetch(self, query_id: str) -> None:
        clip = json.loads(self.ask(f"/api/clips?query_id={query_id}"))
        for sheet in [self._lines.submit(self.ask, option["url"]) for option in clip["options"]]:
            sheet.result()


class Served(NamedTuple):
    """A labelling page that is being served."""

    port: int
    pid: int
    """Id of the server's process."""


@contextmanager
def serving(run_dir: Path) -> Iterator[Served]:
    """Serve a run's labelling page in a process of its own, started as people start it."""
    command = [sys.executable, "-m", "rlhf_gym.cli", "label", str(run_dir), "--web", "--port", "0"]
    with subprocess.Popen(
        [*command, "--until-input-ends"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout and server.stdin  # noqa: S101
        said = "".join(server.stdout.readline() for _ in range(2)).strip()  # open http://127.0.0.1:PORT/ to label; ...
        if not said.startswith("open http://127.0.0.1:"):
            raise RuntimeError(f"the labelling page doesn't start; it said {said!r}, and what is above")
        try:
            yield Served(int(said.split("/")[2].partition(":")[2]), server.pid)
        finally:
            server.stdin.close()  # which ends the server


def waits(port: int, *, thinking: float, answers: int) -> list[float]:
    """Measure milliseconds until the first pair is in view, and from each answer until the next pair is."""
    found: list[float] = []
    with closing(Page(port)) as page:
        sent = time.perf_counter()
        for _ in range(answers + 1):
            query_id = page.next()
            if query_id is None:
                raise RuntimeError(f"no query is open after {len(found)} answers; more were posted")
            found.append(1000 * (time.perf_counter() - sent))
            if len(found) <= answers:
                time.sleep(thinking)
                sent = time.perf_counter()
                page.answer(query_id, thinking)
    return found


def drawing_seconds(run_dir: Path, *, clips: int) -> float:
    """Measure the median seconds to draw one clip, after a first one, in a process that draws already."""
    with PreferenceStore(run_dir / "preferences.db") as store, ClipCache(run_dir / "timed", films=False) as cache:
        first, *others = [preference.query for preference in store.preferences()][: clips + 1]
        cache.wait(first)
        began = [time.perf_counter()]
        for query in others:
            cache.wait(query)
            began.append(time.perf_counter())
    return float(median(np.diff(began)))


def measure(env_id: str, *, thinking: float, answers: int) -> dict[str, Any]:
    """Make one row: start a run, answer its queries, and measure the waits."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as directory:
        run_dir, queries = Path(directory) / "run", answers + 1 + AHEAD
        config = RLHFConfig.for_env(env_id, labels=queries, teacher="store", run_dir=str(run_dir))
        with closing(RLHF(config)) as rlhf:
            rlhf.ask(queries)
        with serving(run_dir) as served:
            first, *others = waits(served.port, thinking=thinking, answers=answers)
        drawing = drawing_seconds(run_dir, clips=min(5, answers - 1))
    return {
        "env_id": env_id,
        "thinking_s": thinking,
        "answers": answers,
        "median_ms": round(median(others), 1),
        "p90_ms": round(float(np.quantile(others, 0.9)), 1),
        "longest_ms": round(max(others), 1),
        "first_ms": round(first, 1),
        "drawing_s": round(drawing, 3),
        "load": round(load, 2),
    }


def table(rows: Sequence[dict[str, str]]) -> str:
    """Make a table with one line per row."""
    lines = ["| " + " | ".join([*COLUMNS.values(), "target"]) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in rows:
        asked = f"median < {ASKED_MS}: " + ("yes" if float(row["median_ms"]) < ASKED_MS else "**no**")
        lines.append("| " + " | ".join([*(row[name] for name in COLUMNS), asked]) + " |")
    return "\n".join(lines)


def page(path: Path) -> str:
    """Make the text of the page from the rows of the commit measured last."""
    rows, how = measured_last(path), (__doc__ or "").partition("\n\n")[2]
    last = rows[-1]
    medians = [float(row["median_ms"]) for row in rows]
    older = "\n".join([*warning("page_waits", listed_older(path.parents[1])), ""])
    return (
        f"<!-- Made by `python -m experiments.measurements.page_waits`. -->\n# Waiting for the next pair\n\n"
        f"**The median wait for the next pair is {min(medians):.0f} to {max(medians):.0f} ms, by task and thinking "
        f"time; the target is below {ASKED_MS} ms.**\n\n{how}\n"
        f"```\npython -m experiments.measurements.page_waits --answers {last['answers']}\n```\n\n{older}"
        f"{table(rows)}\n\n"
        f"The target is a median below {ASKED_MS} ms after the first pair. All rows are of one commit; `runs.csv` "
        f"has every row. Load average: processes that wanted a core in the minute before.\n"
        f"{last['machine']}; Python {last['python']}; {last['versions']}; commit {last['commit']}; {last['date']}.\n"
    )


def main(
    env_ids: tuple[str, ...] = ENV_IDS,
    thinking: tuple[float, ...] = (3.0, 1.0),
    answers: int = 30,
    results_dir: Path = Path("results"),
) -> None:
    """Measure, and write one table.

    Args:
        env_ids: Tasks.
        thinking: Seconds that a person looks at a pair before answering; the literature says 3 to 5.
        answers: Number of answers for each task and thinking time, at least 2.
        results_dir: Each row is appended to `page_waits/runs.csv` in it, and `page_waits/README.md` is rewritten.
    """
    if answers < 2:
        raise ValueError(f"answers is {answers}; use at least 2")
    results, made = results_dir / "page_waits", provenance("")
    versions = "; ".join(f"{package} {version}" for package, version in made["versions"].items())
    kept = {"machine": made["machine"], "commit": made["commit"], "python": made["python"], "versions": versions}
    for env_id, seconds in tqdm([(env_id, seconds) for env_id in env_ids for seconds in thinking], unit="row"):
        row = measure(env_id, thinking=seconds, answers=answers)
        date = datetime.now(timezone.utc).date().isoformat()
        append_rows(results / "runs.csv", [row | kept | {"date": date}])
    written = page(results / "runs.csv")
    (results / "README.md").write_text(written, encoding="utf-8")
    print(written)


if __name__ == "__main__":
    tyro.cli(main)
