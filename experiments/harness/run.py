"""Do the missing runs of an experiment: `python -m experiments.run NAME [--jobs 2]`.

Every run is one row of `results/NAME/runs.csv` and its rounds are rows of `curves.csv`. A setting and seed that has a
row is skipped, so the command can be stopped and repeated. Nothing is overwritten.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from experiments.harness.adopt import adopt_new_columns, check_headers
from experiments.harness.checkout import ROOT, commit_of, package_as_of, results_folder
from experiments.harness.confirm import Beside
from experiments.harness.confirm import confirm as confirm_rows
from experiments.harness.fingerprint import has_part
from experiments.harness.jobs import Execute, Job, Rows, in_fresh_process
from experiments.harness.made import made_columns
from experiments.harness.retire import retire_rows
from experiments.harness.serving import serving
from experiments.harness.settings import Setting, choose, known_columns, load
from rlhf_gym.sweeps.executors import PROCESSES, executor
from rlhf_gym.sweeps.records import as_text
from rlhf_gym.sweeps.runner import alone, keep_rows, missing, run_missing


def run(
    name: str,
    *,
    only: Sequence[str] = (),
    seeds: Sequence[int] = (),
    jobs: int = 2,
    testing: bool = False,
    results_dir: Path = Path("results"),
    adopt: bool = False,
    retire: bool = False,
    confirm: bool = False,
    first: float = 1.0,
    beside: str | None = None,
    execute: Execute = in_fresh_process,
    on: str = PROCESSES,
) -> dict[Job, str]:
    """Do the runs that have no row yet.

    Args:
        name: The experiment.
        only: Settings to run, by name or pattern (`*_50`); none means all.
        seeds: Seeds to run; none means all of each setting.
        jobs: Runs at the same time; an existing cluster runs as many as its cores allow.
        testing: Run the testing subset, in a folder of its own.
        results_dir: Where `NAME/runs.csv` is.
        adopt: Give rows that are older than a setting its value of today; only if they were run with that value.
        retire: First move rows of these runs that aren't of the present code to `earlier_runs.csv`, so that they are
            done again.
        confirm: Instead, run one seed again of each setting whose rows are of older code; if it gives the same figures,
            record in `confirmed.csv` that the rows of that code remain valid.
        first: With `confirm`, the share of rounds to do and compare; the evaluation is compared only if it is 1.
        beside: With `confirm`, a commit whose package is run here, too, to compare with; None compares with the rows.
        execute: Does one run.
        on: Where to run: `processes` of this machine, or `ray[://ADDRESS]`.

    Returns:
        The runs that failed, each with its error; the others are kept.

    Raises:
        ValueError: On unknown settings or seeds, if the stored rows don't fit, on `confirm` with `retire` or `seeds`,
            or on `first` or `beside` without `confirm`.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; use at least 1")
    if confirm and (retire or seeds):
        raise ValueError(
            f"confirm came with {'retire' if retire else 'seeds'}; it runs one seed of each setting and moves nothing: "
            "leave that out"
        )
    if not 0 < first <= 1 or (first < 1 and not confirm):
        raise ValueError(f"first is {first:g}; with confirm, use a share above 0 and at most 1 of the rounds, else 1")
    if beside and (not confirm or on != PROCESSES):
        raise ValueError(f"beside is {beside}; use it with confirm, by processes of this machine")
    where = executor(on, code=ROOT)
    settings, folder = choose(load(name), testing=testing), results_folder(name, results_dir, testing=testing)
    chosen = choose(load(name), testing=testing, only=only)
    wanted = _wanted(name, chosen, seeds, testing)
    with alone(folder):
        if retire:
            moved = retire_rows(name, settings, folder, {(job.setting, job.seed) for job in wanted})
            print(f"{name}: {moved} rows of older code moved to earlier_runs.csv", flush=True)
        if adopt:
            adopt_new_columns(name, settings, folder)
        check_headers(name, settings, folder)
        if confirm:
            how: dict[str, Any] = {"jobs": jobs, "testing": testing, "first": first, "executor": where}
            with ExitStack() as stack:
                if serve := first < 1 and on == PROCESSES and execute is in_fresh_process:
                    execute = stack.enter_context(serving(ROOT))
                if beside:
                    place = stack.enter_context(package_as_of(commit := commit_of(beside)))
                    there = stack.enter_context(serving(place)) if serve else partial(in_fresh_process, folder=place)
                    how["beside"] = Beside(commit, there)
                return confirm_rows(name, chosen, folder, execute, **how)
        todo = _missing(wanted, settings, folder / "runs.csv")
        print(f"{name}: {len(todo)} runs to do, {len(wanted) - len(todo)} already there", flush=True)
        return run_missing(todo, execute, partial(_keep, folder), jobs=jobs, executor=where)


def _wanted(name: str, settings: Mapping[str, Setting], seeds: Sequence[int], testing: bool) -> list[Job]:
    known = sorted({seed for setting in settings.values() for seed in setting.seeds})
    for seed in seeds:
        if seed not in known:
            raise ValueError(f"seeds has {seed}; the seeds of these settings are {', '.join(map(str, known))}")
    return [
        Job(name, setting, seed, testing)
        for setting, value in settings.items()
        for seed in value.seeds
        if seed in seeds or not seeds
    ]


def _missing(wanted: Sequence[Job], settings: Mapping[str, Setting], path: Path) -> list[Job]:
    """Find the jobs without a row. Those with one must have been run with today's settings."""

    def known(job: Job) -> dict[str, Any]:
        return known_columns(job.experiment, job.setting, settings[job.setting].run_config(job.seed))

    def check(job: Job, row: Mapping[str, str]) -> None:
        config = settings[job.setting].run_config(job.seed)
        for column, value in known(job).items():
            if row[column] != as_text(value) and has_part(column, config):
                raise ValueError(
                    f"{path} has {job.title} with {column} {row[column]!r}, but the setting now "
                    f"says {value!r}; do it again with --retire, give the setting a new name or use another "
                    f"--results-dir"
                )

    return missing(wanted, path, check)


def _keep(folder: Path, job: Job, rows: Rows) -> str:
    """Keep a run: its clip, if it made one, and its rows."""
    if "clip" in rows:
        (folder / f"{job.setting}.webp").write_bytes(rows["clip"])
    row = rows["run"]
    commit = row["commit"] or made_columns("")["commit"]  # a node of a cluster has the code without its history
    keep_rows(folder, job.key, row | {"commit": commit}, rows["curves"])
    return f"true return {row['true_return_mean']:.1f}"


def main(
    name: Positional[str],
    /,
    only: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (),
    jobs: int = 2,
    testing: bool = False,
    results_dir: Path = Path("results"),
    adopt: bool = False,
    retire: bool = False,
    confirm: bool = False,
    first: float = 1.0,
    beside: str | None = None,
    on: str = PROCESSES,
) -> int:
    """Do the missing runs of an experiment.

    Args:
        name: Folder in experiments/questions/.
        only: Settings to run, by name or pattern ('*_50'), in their order; all if left out.
        seeds: Seeds to run; all of each setting if left out.
        jobs: Runs at the same time.
        testing: Run the small testing subset, kept in a folder of its own.
        results_dir: Folder of results.
        adopt: Give rows that are older than a setting its value of today; only if they were run with that value.
        retire: First move rows of these runs that aren't of the present code to earlier_runs.csv: they are done again.
        confirm: Instead, run one seed again of each setting whose rows are of older code; if it gives the same
            figures, the rows of that code remain valid (confirmed.csv).
        first: With confirm, the share of rounds to do and compare: 0.25 is enough if a change doesn't concern how a
            policy is evaluated.
        beside: With confirm, a commit whose package is run, too, to compare with: rows made on another machine differ
            in their last digits.
        on: Where to run: processes of this machine; ray, the same on a cluster of this machine alone; or ray://ADDRESS
            of a cluster, which runs as many at the same time as its cores allow.
    """
    chosen: dict[str, Any] = {"only": only, "seeds": seeds, "jobs": jobs, "testing": testing, "on": on}
    chosen |= {"confirm": confirm, "first": first, "beside": beside}
    try:
        failed = run(name, **chosen, results_dir=results_dir, adopt=adopt, retire=retire)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if failed else 0
