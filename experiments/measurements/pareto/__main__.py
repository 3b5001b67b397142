"""Do the missing runs, and draw: `python -m experiments.measurements.pareto [--seeds 0 1 2] [--steps 200000]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import tyro

from experiments.harness.made import made_columns
from experiments.measurements.pareto.page import draw, page
from experiments.measurements.pareto.runs import Job, gather, jobs, run
from rlhf_gym.sweeps.records import append_rows, read_rows

COMMAND = "python -m experiments.measurements.pareto"


def main(seeds: tuple[int, ...] = (0,), steps: int = 200_000, results_dir: Path = Path("results/pareto")) -> int:
    """Do the runs that are missing, one after the other, and write the page.

    Args:
        seeds: Seeds of the runs.
        steps: Environment steps of each run.
        results_dir: Folder of the results.
    """
    table = results_dir / "runs.csv"
    for seed in seeds:
        missing = [job for job in jobs([seed]) if not _done(job, table)]
        if not missing:
            continue
        with tempfile.TemporaryDirectory() as directory:
            answers = Path(directory) / "gathered"
            if any(job.paid == "learned" for job in missing):
                gather(answers, seed, steps)
            for job in missing:
                found = run(job, steps, answers)
                print(f"{job.paid} {job.weight:g} seed {seed}: {found}", flush=True)
                command = f"{COMMAND} --seeds {' '.join(map(str, seeds))} --steps {steps}"
                append_rows(table, [{**job.key, "steps": steps, **found, **made_columns(command)}])
    rows = read_rows(table)
    draw(rows, results_dir / "front.png")
    command = f"{COMMAND} --seeds {' '.join(sorted({row['seed'] for row in rows}))} --steps {steps}"
    (results_dir / "README.md").write_text(page(rows, command), encoding="utf-8")
    return 0


def _done(job: Job, table: Path) -> bool:
    return any(job.key.items() <= row.items() for row in read_rows(table))


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
