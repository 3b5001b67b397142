"""Do the missing runs of an experiment: `python -m experiments.run NAME [--jobs 2]`.

Every run is one row of `results/NAME/runs.csv` and its rounds are rows of `curves.csv`. A setting and seed that has its
row is skipped, so the command can be stopped and given again. Nothing is overwritten.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from experiments.harness.fingerprint import has_part
from experiments.harness.older import CODE, as_text
from experiments.harness.records import append_rows, read_header, read_rows, refusal, widen
from experiments.harness.retire import retire_rows
from experiments.harness.runner import alone, fresh_process, missing, results_folder, run_missing
from experiments.harness.settings import Setting, choose, known_columns, load, measure_names


@dataclass(frozen=True)
class Job:
    """One run to do."""

    experiment: str
    setting: str
    seed: int
    testing: bool = False

    @property
    def title(self) -> str:
        """Its name in messages."""
        return f"{self.setting} seed {self.seed}"

    @property
    def key(self) -> dict[str, str]:
        """The columns by which its row is found."""
        return {"setting": self.setting, "seed": str(self.seed)}

    @property
    def command(self) -> str:
        """What does this run alone."""
        testing = " --testing" if self.testing else ""
        return f"python -m experiments.run {self.experiment} --only {self.setting} --seeds {self.seed}{testing}"


Rows = dict[str, Any]
Execute = Callable[[Job], Rows]
"""Does a job; gives `run`, its row, `curves`, a row per round, and, where its setting wants one, `clip`."""


def in_fresh_process(job: Job) -> Rows:
    """Do a job in a new Python process with one thread; its clip, if it makes one, comes as bytes.

    Raises:
        RuntimeError: If the process fails; the message is what it said.
    """
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "rows.json"
        command = [sys.executable, "-m", "experiments.harness.worker", job.experiment, job.setting, str(job.seed)]
        fresh_process([*command, str(output), "--command", job.command, *["--testing"] * job.testing])
        rows: Rows = json.loads(output.read_text())
        clip = output.with_suffix(".webp")
        return rows | ({"clip": clip.read_bytes()} if clip.exists() else {})


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
    execute: Execute = in_fresh_process,
) -> dict[Job, str]:
    """Do the runs that have no row yet.

    Args:
        name: The experiment.
        only: Settings to run, by name or pattern (`*_50`); none means all.
        seeds: Seeds to run; none means all of each setting.
        jobs: Runs at the same time.
        testing: Run the testing subset, in a folder of its own.
        results_dir: Where `NAME/runs.csv` is.
        adopt: Give rows that are older than a setting the value it has today; only where it is what they were run with.
        retire: First move rows of these runs that aren't of the present code to `earlier_runs.csv`, so that they are
            done again.
        execute: Does one run.

    Returns:
        The runs that failed, each with its error; the others are kept.

    Raises:
        ValueError: On unknown settings or seeds, or if the rows that are there don't fit.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; use at least 1")
    settings, folder = choose(load(name), testing=testing), results_folder(name, results_dir, testing=testing)
    wanted = _wanted(name, choose(load(name), testing=testing, only=only), seeds, testing)
    with alone(folder):
        if retire:
            moved = retire_rows(name, settings, folder, {(job.setting, job.seed) for job in wanted})
            print(f"{name}: {moved} rows of older code moved to earlier_runs.csv", flush=True)
        if adopt:
            _adopt_new_columns(name, settings, folder / "runs.csv")
        todo = _missing(wanted, settings, folder / "runs.csv")
        print(f"{name}: {len(todo)} runs to do, {len(wanted) - len(todo)} already there", flush=True)
        return run_missing(todo, execute, partial(_keep, folder), jobs=jobs)


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
    header, measures = read_header(path), measure_names(settings)

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

    for job in wanted:
        if header is not None and not {*known(job), *measures, CODE} <= set(header):
            raise ValueError(refusal(path, header, [*known(job), *measures, CODE]))
    return missing(wanted, path, check)


def _adopt_new_columns(name: str, settings: Mapping[str, Setting], path: Path) -> None:
    """Widen the table by the settings that its rows are older than, with the values of today, and by new measures."""

    def known(row: Mapping[str, str]) -> dict[str, Any]:
        return known_columns(name, row["setting"], settings[row["setting"]].run_config(int(row["seed"])))

    rows, header = read_rows(path), read_header(path)
    if rows and header:
        first, measures = known(rows[0]), measure_names(settings)
        rest = [column for column in header if column not in [*first, *measures, CODE]]
        at = rest.index("versions")  # measures and code stand before it
        widen(path, [*first, *rest[:at], *measures, CODE, *rest[at:]], known)


def _keep(folder: Path, job: Job, rows: Rows) -> str:
    """Append a run. Its row comes last: a run that has its row has its curves too."""
    if not any(job.key.items() <= row.items() for row in read_rows(folder / "curves.csv")):
        append_rows(folder / "curves.csv", rows["curves"])
    if "clip" in rows:
        (folder / f"{job.setting}.webp").write_bytes(rows["clip"])
    append_rows(folder / "runs.csv", [rows["run"]])
    return f"true return {rows['run']['true_return_mean']:.1f}"


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
) -> int:
    """Do the missing runs of an experiment.

    Args:
        name: Folder in experiments/questions/.
        only: Settings to run, by name or pattern ('*_50'), in their order; all if left out.
        seeds: Seeds to run; all of each setting if left out.
        jobs: Runs at the same time.
        testing: Run the small testing subset, kept in a folder of its own.
        results_dir: Folder of results.
        adopt: Give rows that are older than a setting the value it has today; only where it is what they were run with.
        retire: First move rows of these runs that aren't of the present code to earlier_runs.csv: they are done again.
    """
    chosen: dict[str, Any] = {"only": only, "seeds": seeds, "jobs": jobs, "testing": testing}
    try:
        failed = run(name, **chosen, results_dir=results_dir, adopt=adopt, retire=retire)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if failed else 0
