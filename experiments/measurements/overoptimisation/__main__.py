"""Do the missing runs, and draw: `python -m experiments.measurements.overoptimisation [--seeds 0 1 2]`."""

from __future__ import annotations

import sys
from pathlib import Path

import tyro

from experiments.harness.made import made_columns
from experiments.measurements.overoptimisation.curves import curves_of
from experiments.measurements.overoptimisation.drawing import draw
from experiments.measurements.overoptimisation.page import page
from experiments.measurements.overoptimisation.runs import run
from experiments.measurements.overoptimisation.tasks import TASKS, Job, jobs
from rlhf_gym.sweeps.records import append_rows, read_rows

COMMAND = "python -m experiments.measurements.overoptimisation"


def main(
    seeds: tuple[int, ...] = (0, 1, 2),
    tasks: tuple[str, ...] = ("pendulum", "hold_at_one"),
    steps: int | None = None,
    results_dir: Path = Path("results/overoptimisation"),
) -> int:
    """Do the runs that are missing, one after the other, and write figures and page.

    Args:
        seeds: Seeds of the runs.
        tasks: Some of pendulum, hold_at_one, half_cheetah and hopper.
        steps: Environment steps of each fresh policy; None is the task's own.
        results_dir: Folder of the results.
    """
    if unknown := [task for task in tasks if task not in TASKS]:
        print(f"tasks has {unknown[0]}; use some of {', '.join(TASKS)}", file=sys.stderr)
        return 2
    for job in jobs(tasks, seeds):
        if not _done(job, results_dir / "runs.csv"):
            _do(job, steps or TASKS[job.task].steps, results_dir)
    if runs := read_rows(results_dir / "runs.csv"):
        _write(runs, results_dir, f"{COMMAND}{'' if steps is None else f' --steps {steps}'}")
    return 0


def _do(job: Job, steps: int, results_dir: Path) -> None:
    """Do one run; its row is written last, so that a run with a row is complete."""
    looks = run(job, steps)
    last = looks[-1]
    print(f"{job.task} {job.labels} seed {job.seed}: true return {last['gold']:.4g} at the end", flush=True)
    append_rows(results_dir / "curves.csv", [{**job.key, "look": at, **look} for at, look in enumerate(looks)])
    own = f"{COMMAND} --tasks {job.task} --seeds {job.seed} --steps {steps}"
    append_rows(results_dir / "runs.csv", [{**job.key, "steps": steps, **made_columns(own)}])


def _write(runs: list[dict[str, str]], results_dir: Path, command: str) -> None:
    curves = curves_of(read_rows(results_dir / "curves.csv"))
    for task in TASKS:
        if any(name == task and labels.isdigit() for name, labels in curves):
            draw(task, curves, results_dir / f"{task}.png")
    asked = {name: sorted({row[name] for row in runs}) for name in ("seed", "task")}
    command = f"{command} --seeds {' '.join(asked['seed'])} --tasks {' '.join(asked['task'])}"
    (results_dir / "README.md").write_text(page(runs, curves, command), encoding="utf-8")


def _done(job: Job, table: Path) -> bool:
    return any(job.key.items() <= row.items() for row in read_rows(table))


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
