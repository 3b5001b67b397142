"""Move rows that today's code wouldn't reproduce to other tables, so that their runs are done again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from experiments.harness.confirmed import read_confirmed
from experiments.harness.older import is_fresh
from experiments.harness.settings import Setting
from rlhf_gym.sweeps.records import append_rows, read_header, read_rows

Row = Mapping[str, str]


def retire_rows(
    experiment: str, settings: Mapping[str, Setting], folder: Path, runs: Collection[tuple[str, int]]
) -> int:
    """Move the rows and curves of these runs that aren't of the present code; confirmed rows stay.

    Args:
        experiment: The experiment's name.
        settings: All its settings.
        folder: Where `runs.csv` and `curves.csv` are; the rows go to `earlier_runs.csv` and `earlier_curves.csv`.
        runs: Setting and seed of the runs that may be moved; rows of settings that no longer exist always are.

    Returns:
        The number of runs moved.
    """
    confirmed = read_confirmed(folder)

    def retired(row: Row) -> bool:
        name, seed = row["setting"], int(row["seed"])
        if name not in settings:
            return True
        return (name, seed) in runs and not is_fresh(experiment, name, settings[name], row, confirmed)

    gone = {(row["setting"], row["seed"]) for row in read_rows(folder / "runs.csv") if retired(row)}
    for file in ("curves.csv", "runs.csv"):  # curves first, so that a run moved to earlier_runs.csv has its curves
        move_rows(folder / file, folder / f"earlier_{file}", lambda row: (row["setting"], row["seed"]) in gone)
    return len(gone)


def move_rows(path: Path, to: Path, chosen: Callable[[Row], bool]) -> None:
    """Move the chosen rows of a table to another, rewriting both; a table left without rows is removed."""
    rows = read_rows(path)
    moved = [row for row in rows if chosen(row)]
    if moved:
        header = list(dict.fromkeys([*(read_header(to) or []), *(read_header(path) or [])]))
        rewrite(to, header, [*read_rows(to), *moved])
        rewrite(path, read_header(path) or [], [row for row in rows if not chosen(row)])


def rewrite(path: Path, header: Sequence[str], rows: Sequence[Row]) -> None:
    """Replace a table as a whole or not at all, or remove it without rows; columns that a row lacks stay empty."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    if rows:
        append_rows(new, [{**dict.fromkeys(header, ""), **row} for row in rows])
        new.replace(path)
    else:
        path.unlink(missing_ok=True)
