"""Rows of learned rewards, with the parts of the best PPO's gain that both policies reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from experiments.harness.results import Results, read_results
from experiments.harness.settings import Row

METRICS = {
    "gap_accuracy": "pair accuracy",
    "calibration_error": "expected calibration error",
    "correlation": "Pearson, per step",
    "spearman": "Spearman, per step",
    "segment_correlation": "Pearson, per segment",
    "segment_spearman": "Spearman, per segment",
    "epic": "EPIC distance",
    "dard": "DARD distance",
    "disagreement": "disagreement beside error",
    "outside_coverage": "share of steps outside coverage",
}
"""Figures by the true reward that pages show, with their titles; `runs.csv` has all of `evaluate --reward`."""


@dataclass(frozen=True)
class Learned:
    """One learned reward.

    Args:
        task: The environment, and the teacher's goal if it has one.
        own: Part of the best PPO's gain that the run's own policy reaches.
        relearned: The part that the fresh policy reaches.
        row: Its row of `runs.csv`.
    """

    task: str
    own: float
    relearned: float
    row: Row


def learned(rows: Sequence[Row], results_dir: Path) -> Iterator[Learned]:
    """Place every row on its question's scale; rows without runs of PPO or the untrained policy are left out."""

    @cache
    def of(question: str) -> Results:
        return read_results(question, results_dir=results_dir)

    for row in rows:
        results = of(row["question"])
        scale = results.settings[row["setting"]].scale
        if scale and (part := scale.placing(results.runs)):
            own, relearned = (part(float(row[name])) for name in ("own", "relearned"))
            yield Learned(task_name(row["env_id"], row["goal"]), own, relearned, row)


def task_name(env_id: str, goal: str | None) -> str:
    """Name a task by its environment, and the teacher's goal if it has one."""
    return f"{env_id}, {goal}" if goal else env_id
