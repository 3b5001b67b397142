"""Run what is missing of an experiment: `python -m experiments.run NAME [--jobs 2]`.

Every run is one row of `results/NAME/runs.csv` and its rounds are rows of `curves.csv`. A setting and seed that has its
row is skipped, so the command can be stopped and given again. Nothing is overwritten.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from experiments.records import append_rows, read_header, read_rows, refusal, widen
from experiments.settings import Setting, choose, known_columns, load, measure_names
from rlhf_gym.runs import FolderLock

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Job:
    """One run to do."""

    experiment: str
    setting: str
    seed: int
    testing: bool = False

    @property
    def command(self) -> str:
        """What does this run alone."""
        testing = " --testing" if self.testing else ""
        return f"python -m experiments.run {self.experiment} --only {self.setting} --seeds {self.seed}{testing}"


Rows = dict[str, Any]
Execute = Callable[[Job], Rows]
"""Does a job; gives `run`, its row, `curves`, a row per round, and, where its setting wants one, `clip`."""


def results_folder(name: str, results_dir: Path, *, testing: bool) -> Path:
    """Where an experiment's results are kept; those of its testing subset never mix with them."""
    return results_dir / (f"{name}-testing" if testing else name)


def in_fresh_process(job: Job) -> Rows:
    """Do a job in a new Python process with one thread; its clip, if it makes one, comes as bytes.

    Raises:
        RuntimeError: If the process fails; the message is what it said.
    """
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory) / "rows.json"
        command = [sys.executable, "-m", "experiments.worker", job.experiment, job.setting, str(job.seed), str(output)]
        command += ["--command", job.command] + ["--testing"] * job.testing
        threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # the jobs share the cores, not each one all of them
        done = subprocess.run(command, cwd=ROOT, env=os.environ | threads, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr or done.stdout).strip())
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
    execute: Execute = in_fresh_process,
) -> dict[Job, str]:
    """Do the runs that have no row yet.

    Args:
        name: The experiment.
        only: Settings to run; none means all.
        seeds: Seeds to run; none means all of each setting.
        jobs: Runs at the same time.
        testing: Run the testing subset, in a folder of its own.
        results_dir: Where `NAME/runs.csv` is.
        adopt: Give rows that are older than a setting the value it has today; only where it is what they were run with.
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
    failed: dict[Job, str] = {}
    with alone(folder):
        if adopt:
            _adopt_new_columns(name, settings, folder / "runs.csv")
        missing = _missing(wanted, settings, folder / "runs.csv")
        print(f"{name}: {len(missing)} runs to do, {len(wanted) - len(missing)} already there", flush=True)
        for number, (job, rows) in enumerate(_execute_all(missing, execute, jobs), start=1):
            progress = f"[{number}/{len(missing)}] {job.setting} seed {job.seed}"
            if isinstance(rows, Exception):
                failed[job] = str(rows)
                print(f"{progress} failed: {rows}", file=sys.stderr, flush=True)
                continue
            _keep(folder, rows)
            print(f"{progress}: true return {rows['run']['true_return_mean']:.1f}", flush=True)
    return failed


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
    """The jobs without a row. Those with one must have been run with the settings of today."""
    rows = {(row.get("setting"), row.get("seed")): row for row in read_rows(path)}
    header = read_header(path)
    missing = []
    for job in wanted:
        known = known_columns(job.experiment, job.setting, settings[job.setting].run_config(job.seed))
        if header is not None and not {*known, *measure_names(settings)} <= set(header):
            raise ValueError(refusal(path, header, [*known, *measure_names(settings)]))
        row = rows.get((job.setting, str(job.seed)))
        if row is None:
            missing.append(job)
            continue
        for column, value in known.items():
            if row[column] != ("" if value is None else str(value)):
                raise ValueError(
                    f"{path} has {job.setting} seed {job.seed} with {column} {row[column]!r}, but the setting now "
                    f"says {value!r}; give the setting a new name or use another --results-dir"
                )
    return missing


def _adopt_new_columns(name: str, settings: Mapping[str, Setting], path: Path) -> None:
    """Widen the table by the settings that its rows are older than, with the values of today, and by new measures."""

    def known(row: Mapping[str, str]) -> dict[str, Any]:
        return known_columns(name, row["setting"], settings[row["setting"]].run_config(int(row["seed"])))

    rows, header = read_rows(path), read_header(path)
    if rows and header:
        first, measures = known(rows[0]), measure_names(settings)
        rest = [column for column in header if column not in [*first, *measures]]
        at = rest.index("versions")  # measures stand before it
        widen(path, [*first, *rest[:at], *measures, *rest[at:]], known)


def _execute_all(missing: Sequence[Job], execute: Execute, jobs: int) -> Iterator[tuple[Job, Rows | Exception]]:
    """Do the jobs, some at a time, and give each as it ends."""
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(execute, job): job for job in missing}
        for future in as_completed(futures):
            error = future.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield futures[future], error or future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # when stopped from the keyboard: start no more


def _keep(folder: Path, rows: Rows) -> None:
    """Append a run. Its row comes last: a run whose row is there has its curves too."""
    key = (rows["run"]["setting"], str(rows["run"]["seed"]))
    if key not in {(row["setting"], row["seed"]) for row in read_rows(folder / "curves.csv")}:
        append_rows(folder / "curves.csv", rows["curves"])
    if "clip" in rows:
        (folder / f"{key[0]}.webp").write_bytes(rows["clip"])
    append_rows(folder / "runs.csv", [rows["run"]])


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep a second command from doing the same runs: the lock is the folder's, and ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FolderLock(folder)
    except BlockingIOError:
        raise ValueError(f"{folder} is being written by another command; wait until it has ended") from None
    with closing(lock):
        yield


def main(
    name: tyro.conf.Positional[str],
    /,
    only: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (),
    jobs: int = 2,
    testing: bool = False,
    results_dir: Path = Path("results"),
    adopt: bool = False,
) -> int:
    """Run what is missing of an experiment.

    Args:
        name: Folder in experiments/.
        only: Settings to run; all if left out.
        seeds: Seeds to run; all of each setting if left out.
        jobs: Runs at the same time.
        testing: Run the small testing subset, kept in a folder of its own.
        results_dir: Folder of results.
        adopt: Give rows that are older than a setting the value it has today; only where it is what they were run with.
    """
    try:
        failed = run(name, only=only, seeds=seeds, jobs=jobs, testing=testing, results_dir=results_dir, adopt=adopt)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
