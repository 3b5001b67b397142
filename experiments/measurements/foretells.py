"""Which figure foretells the return? `python -m experiments.measurements.foretells`, from stored rows alone.

Every run that learned from answers, of every question whose tasks have PPO on the true reward and an untrained policy
beside it, has figures of its reward model: as of its last round, in `curves.csv`, or of the whole run, in `runs.csv`.
Each is held against the return that the run reached, as a part of the best PPO's gain.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from scipy.stats import pearsonr, spearmanr

from experiments.harness.older import listed_older
from experiments.harness.results import Results
from experiments.harness.settings import Row
from experiments.measurements.fractions import results_with_rows
from rlhf_gym.registry import source_entry, teacher_entry
from rlhf_gym.stats import interquartile_mean

FIGURES = {
    "reward_accuracy_heldout": "held-out accuracy",
    "reward_loss_heldout": "held-out loss",
    "reward_accuracy": "accuracy on the answers",
    "reward_loss": "loss on the answers",
    "disagreement": "disagreement of the ensemble",
    "tie_rate": "share of ties",
    "learned_return": "learned return",
    "epic_distance": "EPIC distance",
    "dard_distance": "DARD distance",
    "reward_correlation": "correlation with the true reward, per step",
    "calibration_error": "expected calibration error",
}
"""Columns and what the page calls them; those that no run has are left out."""
FEWEST = 5  # runs of a task: a correlation of fewer says nothing of it
FEWEST_POOLED = 2  # one run, less its task's mean, is nothing


HOW_TO_READ = """
## How to read it

A figure that can be had while learning is of use if its sign is the same on every task. Runs of one task differ in
seed, labels and settings, so that a figure may go with the return because both go with the number of labels. With few
runs chance is large: of 10 unrelated pairs, one in twenty has a coefficient beyond ±0.65, of 50 beyond ±0.28; and the
first of several figures is the luckiest.
"""


@dataclass(frozen=True)
class Reached:
    """What a run reached, beside the figures of its reward model.

    Args:
        task: Environment and goal.
        part: Of the best PPO's gain.
        figures: By column; without those that are missing or infinite.
    """

    task: str
    part: float
    figures: Mapping[str, float]


def runs_with_figures(results: Results) -> Iterator[Reached]:
    """List a question's runs that learned from answers, on tasks whose scale was run."""
    last = {(row["setting"], row["seed"]): row for row in results.curves}  # in the order of rounds
    for name, rows in results.runs.items():
        setting = results.settings[name]
        config = setting.run_config(setting.seeds[0])
        learned = source_entry(config.reward.source).labels and not teacher_entry(config.teacher).control
        ends = _ends(results, name) if learned else None
        if ends:
            zero, one = ends
            task = config.env_id + f", {config.feedback.goal}" * (config.feedback.goal is not None)
            for row in rows:
                part = (float(row[_measure(results, name)]) - zero) / (one - zero)
                figures = dict(_finite({**row, **last.get((name, row["seed"]), {})}))
                yield Reached(task, part, figures)


def _measure(results: Results, name: str) -> str:
    scale = results.settings[name].scale
    return scale.measure if scale else "true_return_mean"


def _ends(results: Results, name: str) -> tuple[float, float] | None:
    """Find what counts as 0 and as 1 for a setting; None where that wasn't run."""
    scale = results.settings[name].scale
    better = scale.better(results.runs) if scale else None
    if scale is None or better is None or not results.runs.get(scale.floor):
        return None
    zero, one = (interquartile_mean(scale.of(end, results.runs)) for end in (scale.floor, better))
    return (zero, one) if one > zero else None


def _finite(row: Row) -> Iterator[tuple[str, float]]:
    for column in FIGURES:
        value = row.get(column, "")
        if value not in ("", None) and math.isfinite(float(value)):
            yield column, float(value)


def pooled(runs: Sequence[Reached], column: str) -> tuple[float, float, int, int] | None:
    """Correlate a figure with the return, after the mean of its task is taken from both.

    Returns:
        Pearson's and Spearman's coefficient, the number of runs and of tasks; None where there is nothing to correlate.
    """
    tasks = [own for own in _by_task(runs, column).values() if len(own) >= FEWEST_POOLED]
    centred = [np.round(np.array(own) - np.mean(own, axis=0), 12) for own in tasks]  # or rounding errors break ties
    found = correlations(np.concatenate(centred)) if centred else None
    return (*found, sum(map(len, tasks)), len(tasks)) if found else None


def of_tasks(runs: Sequence[Reached], column: str) -> dict[str, tuple[float, float, int]]:
    """Correlate a figure with the return on each task that has enough runs: Pearson, Spearman, runs."""
    own = {task: pairs for task, pairs in _by_task(runs, column).items() if len(pairs) >= FEWEST}
    return {task: (*found, len(own[task])) for task in own if (found := correlations(np.array(own[task])))}


def correlations(pairs: np.ndarray) -> tuple[float, float] | None:
    """Compute Pearson's and Spearman's coefficient of pairs, shape (n, 2); None where one side is constant."""
    figures, parts = pairs.T
    if np.ptp(figures) < 1e-12 or np.ptp(parts) < 1e-12:
        return None
    return float(pearsonr(figures, parts).statistic), float(spearmanr(figures, parts).statistic)


def _by_task(runs: Sequence[Reached], column: str) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    for run in runs:
        if column in run.figures:
            found.setdefault(run.task, []).append((run.figures[column], run.part))
    return found


def page(results_dir: Path = Path("results")) -> str:
    """Write all of the page.

    Raises:
        ValueError: If no task has enough runs.
    """
    runs = [run for results in results_with_rows(results_dir) for run in runs_with_figures(results)]
    found = {column: got for column in FIGURES if (got := pooled(runs, column))}
    if not found:
        raise ValueError(f"no task in {results_dir} has 2 runs that learned from answers; do them first")
    ranked = sorted(found, key=lambda column: -abs(found[column][1]))
    return "\n".join(_lines(runs, found, ranked, listed_older(results_dir)))


def _lines(
    runs: Sequence[Reached],
    found: Mapping[str, tuple[float, float, int, int]],
    ranked: Sequence[str],
    older: Mapping[str, str],
) -> Iterator[str]:
    best = ranked[0]
    yield "<!-- Made by `python -m experiments.measurements.foretells`; what is changed here by hand is lost. -->"
    yield "# Which figure foretells the return?\n"
    yield (
        f"**Of {len(ranked)} figures of a run's reward model, the {FIGURES[best]} goes most with the return: rank "
        f"correlation {_signed(found[best][1])} over {found[best][2]} runs, within their {found[best][3]} tasks.**\n"
    )
    yield f"{(__doc__ or '').partition(chr(10) * 2)[2]}"
    yield "```\npython -m experiments.measurements.foretells\n```\n"
    if "foretells" in older:
        yield f"**Older than the present code:** {older['foretells']}.\n"
    yield "## All tasks together\n\nBoth sides less their task's mean: easy tasks don't pass for good rewards.\n"
    yield "| figure | Spearman | Pearson | runs | tasks |\n|---|---|---|---|---|"
    for column in ranked:
        pearson, spearman, n, tasks = found[column]
        yield f"| {FIGURES[column]} (`{column}`) | {_signed(spearman)} | {_signed(pearson)} | {n} | {tasks} |"
    tables = {column: of_tasks(runs, column) for column in ranked}
    tasks_of = dict.fromkeys(task for table in tables.values() for task in table)
    yield f"\n## Task by task\n\nSpearman's coefficient, where a task has {FEWEST} runs or more.\n"
    yield f"| task | runs | {' | '.join(FIGURES[column] for column in ranked)} |"
    yield "|---" * (len(ranked) + 2) + "|"
    for task in tasks_of:
        cells = [_signed(tables[c][task][1]) if task in tables[c] else "" for c in ranked]
        n = max(table[task][2] for table in tables.values() if task in table)
        yield f"| {task} | {n} | {' | '.join(cells)} |"
    yield HOW_TO_READ


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def main(results_dir: Path = Path("results")) -> int:
    """Write the page.

    Args:
        results_dir: Folder of results; the page is `foretells/README.md` in it.
    """
    try:
        text = page(results_dir)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    path = results_dir / "foretells" / "README.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
