"""Do the missing runs, and draw: `python -m experiments.measurements.relearned [--only hopper_50] [--seeds 0 1 2]`."""

from __future__ import annotations

import sys
from pathlib import Path

import tyro

from experiments.measurements.relearned.confirm import keep_same, stands
from experiments.measurements.relearned.page import write
from experiments.measurements.relearned.runs import jobs, run
from rlhf_gym.sweeps.records import append_rows, read_rows

COMMAND = "python -m experiments.measurements.relearned"


def main(
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    only: tuple[str, ...] = (),
    confirm: bool = False,
    results_dir: Path = Path("results"),
) -> int:
    """Do the runs that are missing, one after the other, and write figure and page.

    Args:
        seeds: Of the runs.
        only: Settings; none is all of them.
        confirm: Do those again whose rows are of older code, in place of what is missing, and note which come out the
            same: all rows of that setting and that code stand then. One seed will do.
        results_dir: Folder of results, with the rows of the questions that these settings are of.
    """
    try:
        todo = jobs(seeds, only)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    folder = results_dir / "relearned"
    table, differ = folder / "runs.csv", False
    for job in todo:
        command = f"{COMMAND} --only {job.name} --seeds {job.seed}{' --confirm' * confirm}"
        old = next((row for row in read_rows(table) if job.key.items() <= row.items()), None)
        if old and confirm and not stands(job, old, folder):
            found = keep_same(job, old, run(job, command), folder)
            print(f"{job.name} seed {job.seed}: {found or 'the same'}", flush=True)
            differ |= bool(found)
        elif not (old or confirm):
            row = run(job, command)
            append_rows(table, [row])
            print(f"{job.name} seed {job.seed}: {row['own']:.4g}, relearned {row['relearned']:.4g}", flush=True)
    write(read_rows(table), results_dir)
    return int(differ)


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
