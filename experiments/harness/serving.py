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
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue

from experiments.harness.jobs import Execute, Job, Rows
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
    pipe, command = subprocess.PIPE, [sys.executable, "-m", "experiments.harness.served"]
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
