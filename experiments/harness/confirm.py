"""Run one seed of each setting again with today's code, to test whether rows of older code remain valid.

If no figure changes, the other seeds need no new runs: `confirmed.csv` gets a row, and
:mod:`experiments.harness.older` treats the setting's rows of that code as rows of today's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from experiments.harness.confirmed import BESIDE, ROUNDS, keep_confirmed, read_confirmed, standing
from experiments.harness.fingerprint import CODE
from experiments.harness.jobs import Execute, Job, Rows
from experiments.harness.older import of_todays_settings, todays_code
from experiments.harness.settings import Row, Setting
from rlhf_gym.sweeps.executors import Executor, locally
from rlhf_gym.sweeps.records import as_text, read_rows
from rlhf_gym.sweeps.runner import run_missing

FIGURES = (
    "true_return_mean",
    "true_return_std",
    "n_eval_episodes",
    "reward_accuracy_heldout",
    "summary.labels",
    "asked",
    "summary.total_timesteps",
)
"""Columns of a run's row that are compared, besides its measures; times and provenance are left out."""
NOT_COMPARED = ("setting", "seed", "seconds")
"""Columns of a round that aren't compared."""
OLD = "old_code"


@dataclass(frozen=True)
class Beside:
    """Earlier code to run here for comparison.

    Args:
        commit: The commit that the code is from.
        execute: Does one run with it.
    """

    commit: str
    execute: Execute


def confirm(
    name: str,
    settings: Mapping[str, Setting],
    folder: Path,
    execute: Execute,
    *,
    jobs: int = 2,
    testing: bool = False,
    first: float = 1.0,
    beside: Beside | None = None,
    executor: Executor = locally,
) -> dict[Job, str]:
    """Run one seed again of each setting whose rows are of older code, and record it if its figures are the same.

    A run diverges for good at the first number that differs, even in its last digit. So its first rounds show whether
    the code still does the same, except for what comes after the last round.

    Args:
        name: The experiment.
        settings: The settings to check.
        folder: Where its tables are.
        execute: Does one run.
        jobs: Runs at the same time.
        testing: Whether they are of the testing subset.
        first: Share of each run's rounds to do and compare; below 1, no figures of the whole run are compared.
        beside: Earlier code to run here and compare with; None compares with the stored rows, whose last digits
            depend on the machine that made them.
        executor: Where the runs are done.

    Returns:
        The runs that failed or gave other figures, each with the reason.
    """
    rows, confirmed = read_rows(folder / "runs.csv"), read_confirmed(folder)
    curves = read_rows(folder / "curves.csv")
    todo: dict[Job, Row] = {}
    for key, setting in settings.items():
        own = [row for row in rows if row["setting"] == key]
        same = [row for row in own if row[CODE] and of_todays_settings(name, key, setting, [row])]
        if len(same) < len(own):
            print(
                f"{key}: {len(own) - len(same)} of {len(own)} rows are of other settings or name no code; see --retire"
            )
        firsts = _firsts(key, todays_code(setting), same, confirmed)
        todo |= {Job(name, key, int(row["seed"]), testing, first): row for row in firsts}
    print(f"{name}: {len(todo)} to do again, one seed of each setting with rows of older code", flush=True)

    def again(job: Job) -> Rows:
        old, rounds = todo[job], _rounds(curves, job)
        rounds = rounds[: math.ceil(first * len(rounds))]
        if beside:
            earlier = beside.execute(job)
            if old[CODE] not in standing(job.setting, earlier["run"][CODE], confirmed):
                raise ValueError(f"its rows are of other code than that of commit {beside.commit}; name theirs")
            old, rounds = earlier["run"], earlier["curves"]
        made = execute(job)
        figures = [*FIGURES, *settings[job.setting].measures] if first == 1 else []
        if found := next(_differences(old, made["run"], figures, rounds, made["curves"]), None):
            raise ValueError(f"{found}; nothing was kept. {_made_elsewhere(old, made['run'])}")
        return made | {OLD: old[CODE]}

    kept = partial(_keep, folder, rows, curves, confirmed, beside.commit if beside else "")
    return run_missing(list(todo), again, kept, jobs=jobs, executor=executor)


def _rounds(curves: Sequence[Row], job: Job) -> list[Row]:
    """Find a run's rounds among the rows of `curves.csv`."""
    return [row for row in curves if job.key.items() <= row.items()]


def _firsts(setting: str, today: str, rows: Sequence[Row], confirmed: Sequence[Row]) -> list[Row]:
    """Find the lowest seed's row of each code that isn't confirmed to equal today's code or a later one in the rows."""
    codes: list[str] = []
    for row in reversed(rows):
        if not any(row[CODE] in standing(setting, code, confirmed) for code in (today, *codes)):
            codes.append(row[CODE])
    return [min((row for row in rows if row[CODE] == code), key=lambda row: int(row["seed"])) for code in codes]


def _differences(
    old: Row, new: Row, figures: Iterable[str], rounds: Sequence[Row], made: Sequence[Row]
) -> Iterator[str]:
    """Describe each figure that differs, first those of the run, then those of its rounds."""
    yield from differing(old, new, figures)
    if len(rounds) != len(made):
        yield f"its rounds in curves.csv are {len(rounds)} and are {len(made)} now"
    for number, (then, now) in enumerate(zip(rounds, made, strict=False)):
        # A cell is empty where the round is older than its column.
        columns = [column for column, value in then.items() if column not in NOT_COMPARED and value != ""]
        yield from (f"in round {number}, {found}" for found in differing(then, now, columns))


def differing(old: Row, new: Row, columns: Iterable[str]) -> Iterator[str]:
    """Describe each of these columns that differs, and by how much."""
    for column in columns:
        then, now = (as_text(row.get(column)) for row in (old, new))
        if not _same(then, now):
            yield f"{column} was {then or 'empty'} and is {now or 'empty'} now{_apart(then, now)}"


def _same(then: str, now: str) -> bool:
    one, other = _number(then), _number(now)
    if one is None or other is None:
        return then == now
    return one == other or (math.isnan(one) and math.isnan(other))


def _apart(then: str, now: str) -> str:
    one, other = _number(then), _number(now)
    return "" if one is None or other is None else f", {abs(other - one):.3g} apart"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _made_elsewhere(old: Row, new: Row) -> str:
    """Say how machine, Python and versions differ between two rows, which alone may change figures."""
    columns = [name for name in ("machine", "python", "versions") if old.get(name) != as_text(new.get(name))]
    if not columns:
        return "The row names the same machine and versions"
    return "; ".join(f"The row names {name} {old.get(name) or 'unknown'}, this run {new.get(name)}" for name in columns)


def _keep(
    folder: Path,
    rows: Sequence[Row],
    curves: Sequence[Row],
    confirmed: Sequence[Row],
    beside: str,
    job: Job,
    made: Rows,
) -> str:
    """Append a confirmed run, and say how many rows remain valid."""
    old, new = made[OLD], made["run"]
    how = f" --beside {beside}" * bool(beside) + f" --first {job.first:g}" * (job.first < 1)
    testing = " --testing" if job.testing else ""
    command = f"python -m experiments.run {job.experiment} --confirm{how} --only {job.setting}{testing}"
    rounds = f"{len(made['curves'])} of {len(_rounds(curves, job))}" if job.first < 1 else ""
    found = {"setting": job.setting, "seed": job.seed, "old_code": old, "new_code": new[CODE]}
    made_by = {name: new.get(name, "") for name in ("versions", "python", "commit", "machine")}
    how_made = {"command": command, "date": new.get("date", ""), ROUNDS: rounds, BESIDE: beside}
    keep_confirmed(folder, {**found, **made_by, **how_made})
    codes = standing(job.setting, old, confirmed)
    stand = sum(row["setting"] == job.setting and row[CODE] in codes for row in rows)
    return f"the same figures as by code {old}; its rows stand: {stand}"
