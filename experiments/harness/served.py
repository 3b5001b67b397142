"""The process that serves run after run (:mod:`experiments.harness.serving`).

With `--confirm --beside` it runs beside an earlier package, and so imports nothing that this one lacks.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path

from experiments.harness.jobs import Job
from experiments.harness.worker import do


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
