"""Do the missing runs of a sweep, and say what each setting reached."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import unknown_name
from rlhf_gym.config.passwords import url_without_password
from rlhf_gym.config.places import absolute_store
from rlhf_gym.errors import BadInput
from rlhf_gym.registry import teacher_entry
from rlhf_gym.stats import interquartile_mean, mean_name
from rlhf_gym.sweeps.columns import setting_columns
from rlhf_gym.sweeps.executors import PROCESSES, executor
from rlhf_gym.sweeps.plan import SweepRun, read_plan
from rlhf_gym.sweeps.records import as_text, read_header, read_rows, refusal
from rlhf_gym.sweeps.runner import RUNS, alone, keep_rows, missing, run_missing
from rlhf_gym.sweeps.worker import in_fresh_process


def sweep(
    file: Path,
    *,
    out: Path,
    only: Sequence[str] = (),
    seeds: Sequence[int] = (),
    jobs: int = 2,
    on: str = PROCESSES,
    keep_runs: bool = True,
    execute: Callable[[SweepRun], dict[str, Any]] = in_fresh_process,
) -> dict[SweepRun, str]:
    """Do the runs of a sweep that have no row yet; called again, it goes on where it stopped.

    Args:
        file: YAML, as :func:`rlhf_gym.sweeps.plan.read_plan` reads it.
        out: The sweep's folder: `runs.csv` has a row per run, `curves.csv` one per round, `runs/` the run directories.
        only: Settings to run, by name or pattern (`*_50`); none means all.
        seeds: Seeds to run; none means all.
        jobs: Runs at the same time; on an existing cluster, its cores decide.
        on: Where: `processes` of this machine, or `ray[://ADDRESS]`.
        keep_runs: Whether to keep run directories, each on the machine where it was made.
        execute: Does one run.

    Returns:
        The runs that failed, each with its error; the others are kept.

    Raises:
        BadInput: On a file, a name or a place that doesn't fit, or rows that were made with other settings.
    """
    if jobs < 1:
        raise BadInput(f"jobs is {jobs}; use at least 1")
    wanted = _chosen(read_plan(file, out=out, keep_runs=keep_runs), only, seeds)
    where = executor(on)
    try:
        with alone(out):
            todo = missing(wanted, out / RUNS, partial(_check, out / RUNS))
            _check_columns(out / RUNS, todo)
            for run in todo:
                _check_begun(run)
            print(f"{out}: {len(todo)} runs to do, {len(wanted) - len(todo)} already there", flush=True)
            for line in _where_people_answer(todo):
                print(line, flush=True)
            return run_missing(todo, execute, partial(_keep, out), jobs=jobs, executor=where)
    except ValueError as error:
        raise error if isinstance(error, BadInput) else BadInput(str(error)) from error


def reached(out: Path) -> Iterator[str]:
    """Yield a line per setting with the returns that its runs reached."""
    returns: dict[tuple[str, str], list[float]] = {}
    for row in read_rows(out / RUNS):
        name, value = _return(row)
        returns.setdefault((row["setting"], name), []).append(value)
    for (setting, name), values in returns.items():
        spread = f", {min(values):.1f} to {max(values):.1f}" if len(values) > 1 else ""
        n = f"{len(values)} seed{'s' * (len(values) > 1)}"
        yield f"{setting}: {name} {interquartile_mean(values):.1f} ({mean_name(len(values))} of {n}{spread})"


def _where_people_answer(runs: Sequence[SweepRun]) -> list[str]:
    """List a line for each store that runs share, and for each run with its own, with the command by which to answer.

    Raises:
        BadInput: If people couldn't answer a run, because nothing of it is kept.
    """
    lines: dict[str, None] = {}
    for run in runs:
        config = RLHFConfig.over_preset(json.loads(run.config))
        if not teacher_entry(config.teacher).people:
            continue
        if store := config.feedback.store:
            place = shlex.quote(url_without_password(store))
            lines[f"people answer all of them on one page: rlhf-gym label --web --store {place}"] = None
        elif run.run_dir:
            web = "" if teacher_entry(config.teacher).face == "terminal" else " --web"
            lines[f"people answer {run.title} by: rlhf-gym label {shlex.quote(run.run_dir)}{web}"] = None
        else:
            raise BadInput(
                f"setting {run.setting} has teacher {config.teacher}, but without its run directory nobody can answer; "
                "leave out --no-keep-runs, or set feedback.store"
            )
    return list(lines)


def _chosen(runs: Sequence[SweepRun], only: Sequence[str], seeds: Sequence[int]) -> list[SweepRun]:
    """Choose runs by setting and seed."""
    names, known = {run.setting for run in runs}, {run.seed for run in runs}
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise BadInput(f"--only: {unknown_name(pattern, sorted(names))}")
    if strange := set(seeds) - known:
        raise BadInput(f"--seeds has {min(strange)}; the sweep's seeds are {', '.join(map(str, sorted(known)))}")
    return [
        run
        for run in runs
        if (not seeds or run.seed in seeds) and (not only or any(fnmatchcase(run.setting, o) for o in only))
    ]


def _check_columns(path: Path, todo: Sequence[SweepRun]) -> None:
    """Refuse a table that lacks a setting, as one by another version of this package, before any run is done."""
    header = read_header(path)
    if todo and header is not None and not set(todo[0].known) <= set(header):
        raise BadInput(refusal(path, header, todo[0].known))


def _check(path: Path, run: SweepRun, row: Mapping[str, str]) -> None:
    """Refuse a row that was made with other settings."""
    for column, value in run.known.items():
        if column in row and row[column] != as_text(value):
            raise BadInput(
                f"{path} has {run.title} with {column} {row[column]!r}, but the file now says {as_text(value)!r}; "
                "give the setting a new name, or use another --out"
            )


def _check_begun(run: SweepRun) -> None:
    """Refuse to resume a run that began with other settings; a run on another machine isn't checked."""
    if run.run_dir and (begun := Path(run.run_dir) / "config.yaml").exists():
        kept, store = RLHFConfig.from_run(begun), RLHFConfig.over_preset(json.loads(run.config)).feedback.store
        if kept.feedback.store == absolute_store(store, Path.cwd()):  # as a run writes it when it begins
            kept = kept.replace(feedback={"store": store})
        _check(Path(run.run_dir), run, {name: as_text(value) for name, value in setting_columns(kept).items()})


def _keep(out: Path, run: SweepRun, rows: Mapping[str, Any]) -> str:
    keep_rows(out, run.key, rows["run"], rows["curves"])
    name, value = _return(rows["run"])
    return f"{name} {value:.1f}"


def _return(row: Mapping[str, Any]) -> tuple[str, float]:
    """Return the name and value of what a run is judged by: the goal's return if it has a goal, else the true one."""
    goal = row.get("goal_return_mean")
    return ("true return", float(row["true_return_mean"])) if goal in (None, "") else ("goal return", float(goal))
