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
        seeds: Seeds of the runs.
        only: Settings to run; all if left out.
        confirm: Instead of the missing runs, repeat those whose rows are of older code, and record which give the same
            figures: all rows of that setting and that code then remain valid. One seed is enough.
        results_dir: Folder of results, with the rows of these settings' questions.
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
