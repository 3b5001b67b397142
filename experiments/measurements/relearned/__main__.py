"""Do the missing runs, and draw: `python -m experiments.measurements.relearned [--only hopper_50] [--seeds 0 1 2]`."""

from __future__ import annotations

import sys
from pathlib import Path

import tyro

from experiments.measurements.relearned.page import write
from experiments.measurements.relearned.runs import jobs, run
from rlhf_gym.sweeps.records import append_rows, read_rows

COMMAND = "python -m experiments.measurements.relearned"


def main(
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    only: tuple[str, ...] = (),
    results_dir: Path = Path("results"),
) -> int:
    """Do the runs that are missing, one after the other, and write figure and page.

    Args:
        seeds: Of the runs.
        only: Settings; none is all of them.
        results_dir: Folder of results, with the rows of the questions that these settings are of.
    """
    try:
        todo = jobs(seeds, only)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    table = results_dir / "relearned" / "runs.csv"
    for job in todo:
        if not any(job.key.items() <= row.items() for row in read_rows(table)):
            row = run(job, f"{COMMAND} --only {job.name} --seeds {job.seed}")
            append_rows(table, [row])
            print(f"{job.name} seed {job.seed}: {row['own']:.4g}, relearned {row['relearned']:.4g}", flush=True)
    write(read_rows(table), results_dir)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
