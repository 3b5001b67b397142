"""Compare with imitation: `python -m experiments.measurements.peers [--python PYTHON_3_11]`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import tyro

from experiments.harness.checkout import results_folder
from experiments.measurements.peers.environment import ensure, interpreter
from experiments.measurements.peers.page import page
from experiments.measurements.peers.run import chosen, in_fresh_process, run, without_row


def main(
    only: tuple[str, ...] = (),
    who: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (),
    repeat: int = 0,
    python: str = sys.executable,
    venv: Path = Path("runs/peers-venv"),
    testing: bool = False,
    results_dir: Path = Path("results"),
) -> int:
    """Do the runs that are missing, one after the other, and write the page.

    Args:
        only: Tasks to run; all if left out.
        who: Who runs them: rlhf_gym, imitation, either with _ppo for the true reward; all if left out.
        seeds: Seeds to run; all if left out.
        repeat: Another number does all runs again, beside those that are there: to take their times anew.
        python: Python 3.11, to make imitation's virtual environment with.
        venv: Where that is kept.
        testing: Try the code on a task that takes seconds; its results are kept apart.
        results_dir: Folder of results.
    """
    folder = results_folder("peers", results_dir, testing=testing)
    try:
        jobs = chosen(only=only, who=who, seeds=seeds, repeat=repeat, testing=testing)
        if any(job.run.stack == "imitation" for job in without_row(jobs, folder / "runs.csv")):
            ensure(venv, python)
        failed = run(jobs, folder, partial(in_fresh_process, peer_python=interpreter(venv)))
        (folder / "README.md").write_text(page(folder / "runs.csv", testing=testing), encoding="utf-8")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
