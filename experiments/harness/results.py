"""The rows of an experiment, together with its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.harness.checkout import results_folder
from experiments.harness.confirmed import read_confirmed
from experiments.harness.settings import Experiment, Family, Row, Setting, choose, load
from rlhf_gym.sweeps.records import read_rows


@dataclass(frozen=True)
class Results:
    """The rows of an experiment, together with its settings.

    Args:
        name: Folder in experiments/questions/.
        experiment: The question, in words and as data.
        folder: Folder of the tables.
        settings: All settings by name, run or not.
        runs: Rows of runs.csv by setting; settings without any are left out.
        curves: Rows of curves.csv.
        confirmed: Rows of confirmed.csv.
    """

    name: str
    experiment: Experiment
    folder: Path
    settings: Mapping[str, Setting]
    runs: Mapping[str, Sequence[Row]]
    curves: Sequence[Row]
    confirmed: Sequence[Row]

    @property
    def families(self) -> dict[str, Family]:
        """Families with at least one run, by the name of their figure's file."""
        return {key: f for key, f in self.experiment.FAMILIES.items() if any(s in self.runs for s in f.settings)}

    def of(self, family: Family) -> dict[str, Setting]:
        """List the settings of a family that have runs, in its order."""
        return {name: self.settings[name] for name in family.settings if name in self.runs}


def read_results(name: str, *, testing: bool = False, results_dir: Path = Path("results")) -> Results:
    """Read the rows of an experiment.

    Args:
        name: Folder in experiments/questions/.
        testing: Read those of the testing subset.
        results_dir: Folder of results.

    Raises:
        ValueError: If there are no rows, or rows of settings that no longer exist.
    """
    experiment, folder = load(name), results_folder(name, results_dir, testing=testing)
    settings = choose(experiment, testing=testing)
    rows, curves = read_rows(folder / "runs.csv"), read_rows(folder / "curves.csv")
    if not rows:
        raise ValueError(f"{folder} holds no runs; do them first: python -m experiments.run {name}")
    if gone := sorted({row["setting"] for row in rows} - set(settings)):
        raise ValueError(f"{folder / 'runs.csv'} has runs of {', '.join(gone)}, which aren't settings; move them away")
    runs = {key: [row for row in rows if row["setting"] == key] for key in settings}
    found = {key: own for key, own in runs.items() if own}
    return Results(name, experiment, folder, settings, found, curves, read_confirmed(folder))
