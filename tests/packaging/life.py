"""A first day with the installed command, in an empty folder: train, label on the page, stop, resume, evaluate, watch.

    python life.py RLHF_GYM FOLDER

Knows nothing of the package but its command, its page and a run directory's files: it is run where only a wheel is.
"""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

LABELS = 12
STOP_AFTER = 5
SMALL = {
    "--env-id": "CartPole-v1",
    "--labels": str(LABELS),
    "--total-timesteps": "3000",
    "--query.rounds": "2",
    "--query.warm-up-steps": "512",
    "--evaluation.n-episodes": "2",
}
PATIENCE = 1200.0  # seconds that a page or a trainer may need on a busy machine
HERE = build_opener(ProxyHandler({}))


def live(rlhf_gym: str, folder: Path) -> dict[str, float]:
    """Live the day; returns the run's summary.

    Args:
        rlhf_gym: Path of the installed command.
        folder: Empty, to work in.

    Raises:
        AssertionError: If something isn't as it should be.
    """
    train = [
        rlhf_gym,
        "train",
        "--teacher",
        "web",
        "--run-dir",
        "run",
        *(word for pair in SMALL.items() for word in pair),
    ]
    with running(train, folder, "train.txt") as trainer:
        answered = label(folder / "train.txt", trainer, STOP_AFTER)
        trainer.terminate()  # where Ctrl-C is ignored, as in a script's background, this isn't
        assert trainer.wait(PATIENCE) == 128 + signal.SIGTERM, f"came {trainer.returncode}"
    with running([rlhf_gym, "resume", "run"], folder, "resume.txt") as trainer:
        answered += label(folder / "resume.txt", trainer, LABELS)
        assert trainer.wait(PATIENCE) == 0, (folder / "resume.txt").read_text()
    assert len(answered) == len(set(answered)) == LABELS, f"answered {answered}"
    for words in (
        ["evaluate", "run"],
        ["watch", "run", "--output", "clip.gif"],
        ["plot", "run", "--output", "curve.png"],
    ):
        subprocess.run([rlhf_gym, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    assert (folder / "clip.gif").read_bytes().startswith(b"GIF8")
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "run/metrics.csv").open() as rows:
        assert [row["round"] for row in csv.DictReader(rows)] == ["0", "1"]
    summary: dict[str, float] = json.loads((folder / "run/summary.json").read_text())
    assert summary["labels"] == LABELS
    return summary


@contextmanager
def running(command: list[str], folder: Path, says: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of its own process, which is ended at the end."""
    with (folder / says).open("w") as said, subprocess.Popen(command, cwd=folder, stdout=said, stderr=said) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def label(says: Path, trainer: subprocess.Popen[bytes], until: int) -> list[str]:
    """Answer on the page that a trainer serves until so many labels are given; returns the queries' ids.

    What is looked at is what a browser asks for: the page, its parts, and both pictures of each clip.
    """
    until_time = time.monotonic() + PATIENCE
    answered: list[str] = []
    address, looked = "", False
    while time.monotonic() < until_time and trainer.poll() is None:
        time.sleep(0.1)
        if not address:
            address = "".join(re.findall(r"open (http\S+?)/? to label", says.read_text())[:1])
            continue
        try:
            looked = looked or look_at_page(address)
            told = ask(f"{address}/api/next", {"who": "ann"})
            if told["query"] and see_clip(address, told["query"]["id"]):
                said = {"who": "ann", "query_id": told["query"]["id"], "answer": "left", "seconds": 1.0}
                told["progress"] = ask(f"{address}/api/answers", said)
                answered.append(said["query_id"])
        except (URLError, ConnectionError):  # the page is starting, or has just ended with the run
            continue
        if told["progress"]["answered"] >= until:
            return answered
    raise AssertionError(f"the trainer ended, or nobody was asked for {PATIENCE:.0f} s; it said:\n{says.read_text()}")


def look_at_page(address: str) -> bool:
    """Load the page with whatever it names of its own."""
    page = HERE.open(f"{address}/", timeout=60).read().decode()
    parts = re.findall(r'(?:src|href)="(static/[^"]+)"', page)
    assert {Path(part).suffix for part in parts} >= {".js", ".css", ".svg"}, f"the page names {parts}"
    for part in parts:  # a script's imports join the list while it is walked
        held = HERE.open(f"{address}/{part}", timeout=60).read().decode()
        further = [f"static/{name}" for name in re.findall(r'from "\./([^"]+)"', held)]
        parts += [name for name in further if name not in parts]
    return True


def see_clip(address: str, query_id: str) -> bool:
    """Whether a clip is drawn; both its pictures are loaded then."""
    clip = HERE.open(f"{address}/api/clips?query_id={query_id}", timeout=60)
    if clip.status == 202:  # still being drawn
        return False
    sheets = (f"{address}/api/clips/{side}?query_id={query_id}" for side in ("left", "right"))
    return all(HERE.open(sheet, timeout=60).read(8) for sheet in sheets)


def ask(address: str, told: dict[str, object]) -> dict[str, dict[str, object]]:
    """Post a message, as the page's script does."""
    request = Request(address, json.dumps(told).encode(), {"content-type": "application/json"})
    try:
        return json.loads(HERE.open(request, timeout=60).read())
    except HTTPError as error:
        raise AssertionError(f"{address} said {error.code}: {error.read().decode()}") from error


if __name__ == "__main__":
    print(json.dumps(live(sys.argv[1], Path(sys.argv[2]))))
