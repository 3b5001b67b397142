"""Do the first rounds of many runs in a few processes, which import everything once.

Whole runs have a fresh process each (:mod:`experiments.harness.worker`); of a run's first rounds the imports would take
most of the time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue

from experiments.harness.jobs import Execute, Job, Rows
from experiments.harness.worker import do
from rlhf_gym.sweeps.fresh_process import ONE_THREAD, ProcessDied, waiting_for


@contextmanager
def serving(folder: Path) -> Iterator[Execute]:
    """Give a function that does jobs in processes of their own, one job after the other in each.

    It starts as many processes as threads call it at the same time; they end with the context.

    Args:
        folder: Where the package and the experiments are.
    """
    idle, started = SimpleQueue[subprocess.Popen[str]](), list[subprocess.Popen[str]]()

    def execute(job: Job) -> Rows:
        try:
            process = idle.get_nowait()
        except Empty:
            process = _begin(folder)
            started.append(process)
        with waiting_for(process):
            answer = _ask(process, job)
        idle.put(process)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    try:
        yield execute
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.communicate()


def _begin(folder: Path) -> subprocess.Popen[str]:
    pipe, command = subprocess.PIPE, [sys.executable, "-m", "experiments.harness.serving"]
    return subprocess.Popen(command, cwd=folder, env=os.environ | ONE_THREAD, stdin=pipe, stdout=pipe, text=True)


def _ask(process: subprocess.Popen[str], job: Job) -> Rows:
    """Have a process do a job.

    Raises:
        ProcessDied: If it ends before it has an answer.
    """
    assert process.stdin and process.stdout  # noqa: S101
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(asdict(job)) + "\n")
        process.stdin.flush()
    if not (line := process.stdout.readline()):
        raise ProcessDied(f"its process ended, with status {process.wait()}")
    answer: Rows = json.loads(line)
    return answer


def main() -> None:
    """Do the jobs that standard input lists, a line of JSON each, and write a line of rows for each."""
    answers = sys.stdout
    with redirect_stdout(sys.stderr):  # whatever a run prints is no answer
        for line in sys.stdin:
            try:
                answer = do(Job(**json.loads(line)), Path(os.devnull))
            except Exception as error:  # noqa: BLE001
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
