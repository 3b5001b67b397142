"""Rows beside the parts of the best PPO's gain that both policies reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from experiments.harness.results import Results, read_results
from experiments.harness.settings import Row


@dataclass(frozen=True)
class Learned:
    """One learned reward.

    Args:
        task: The environment, and the goal if it isn't paid by that.
        own: Part of the best PPO's gain that the run's own policy reaches.
        relearned: That of the fresh policy.
        row: Of `runs.csv`.
    """

    task: str
    own: float
    relearned: float
    row: Row


def learned(rows: Sequence[Row], results_dir: Path) -> Iterator[Learned]:
    """Measure every row by the runs of its question; without those of PPO and the untrained policy it is left out."""

    @cache
    def of(question: str) -> Results:
        return read_results(question, results_dir=results_dir)

    for row in rows:
        results = of(row["question"])
        scale = results.settings[row["setting"]].scale
        if scale and (ends := scale.ends(results.runs)):
            zero, one = ends
            own, relearned = ((float(row[name]) - zero) / (one - zero) for name in ("own", "relearned"))
            yield Learned(row["env_id"] + f", {row['goal']}" * bool(row["goal"]), own, relearned, row)
