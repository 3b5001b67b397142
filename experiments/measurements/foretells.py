"""Which figure foretells the return? `python -m experiments.measurements.foretells`, from stored rows alone.

Runs that learned a reward model from answers have its figures, after their last round, in `curves.csv`. They are taken
from every question whose tasks also have PPO on the true reward and an untrained policy. The rewards of
[relearned](../relearned/README.md) were also judged by the true reward on fresh trajectories, and taught fresh
policies. Each figure is compared with the return that a policy reached, as a part of the best PPO's gain.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path

import numpy as np
import tyro
from scipy.stats import pearsonr, spearmanr

from experiments.harness.asked import listed
from experiments.harness.results import Results
from experiments.harness.settings import Row
from experiments.measurements.fractions import results_with_rows
from experiments.measurements.relearned.parts import METRICS, learned, task_name
from rlhf_gym.registry import is_direct, source_entry, teacher_entry
from rlhf_gym.sweeps.records import read_rows

KNOWN = {
    "reward_accuracy_heldout": "held-out accuracy",
    "reward_loss_heldout": "held-out loss",
    "reward_accuracy": "accuracy on the answers",
    "reward_loss": "loss on the answers",
    "disagreement": "disagreement of the ensemble",
    "tie_rate": "share of ties",
    "learned_return": "learned return",
}
"""Figures known without the true reward, by column, with their titles; those that no run has are left out."""
JUDGED = {f"all_{metric}": title for metric, title in METRICS.items()}
"""Figures by the true reward, on trajectories of all policies together."""
LOWER_IS_BETTER = ("reward_loss_heldout", "reward_loss", "disagreement", "tie_rate") + tuple(
    f"all_{metric}" for metric in ("epic", "dard", "calibration_error", "outside_coverage")
)
FEWEST = 5  # runs of a task, or tasks of a page; fewer say nothing about it
FEWEST_POOLED = 2  # one run, less its task's mean, is 0


HOW_TO_READ = """
## How to read it

Runs of older code are included, as far as their rows are kept. A figure that is known during training is useful if its
sign is the same on every task. Runs of one task differ in seed, labels and settings, so a figure may go with the return
because both go with the number of labels. With few runs, chance has a large effect: of samples of 10 unrelated pairs,
one in twenty has a coefficient beyond ±0.65, and of 50 pairs beyond ±0.28. The first of several figures is also the
luckiest. Most of the judged rewards put nine in ten fresh pairs or more in order, and taught fresh policies about as
well as the run's own. On these, two runs of a task differ more by the policy's path than by the reward, and a figure of
the reward can't foretell that.
"""


@dataclass(frozen=True)
class Reached:
    """What a policy reached, beside the figures of the reward model that taught it.

    Args:
        task: Environment and goal.
        part: Part of the best PPO's gain.
        figures: By column; missing, infinite and nan ones are left out.
    """

    task: str
    part: float
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Section:
    """A section of the page: figures of some runs, and the return that they are to foretell.

    Args:
        title: Its heading.
        returns: Whose return it is, in words.
        figures: Titles of the figures, by column.
        runs: The runs with these figures.
    """

    title: str
    returns: str
    figures: Mapping[str, str]
    runs: Sequence[Reached]

    @cached_property
    def ranked(self) -> dict[str, tuple[float, float, int, int]]:
        """Results of :func:`pooled` by column, the strongest rank correlation first; without columns that have none."""
        found = {column: got for column in self.figures if (got := pooled(self.runs, column))}
        return dict(sorted(found.items(), key=lambda one: -abs(one[1][1])))

    @cached_property
    def steady(self) -> list[str]:
        """Titles of the figures whose rank correlation has the same sign on every task, of at least `FEWEST` tasks."""
        signs = {column: [own[1] > 0 for own in of_tasks(self.runs, column).values()] for column in self.ranked}
        return [self.figures[column] for column, own in signs.items() if len(own) >= FEWEST and len(set(own)) == 1]


def runs_with_figures(results: Results) -> Iterator[Reached]:
    """List a question's runs that learned from answers, on tasks whose scale has runs."""
    last = {(row["setting"], row["seed"]): row for row in results.curves}  # the last round's, as rows are in order
    for name, rows in results.runs.items():
        setting = results.settings[name]
        config = setting.run_config(setting.seeds[0])
        asked = source_entry(config.reward.source).labels and not is_direct(config.method)  # which has no reward model
        answered = asked and not teacher_entry(config.teacher).control
        if answered and setting.scale and (part := setting.scale.placing(results.runs)):
            task = task_name(config.env_id, config.feedback.goal)
            for row in rows:
                figures = _finite({**row, **last.get((name, row["seed"]), {})}, KNOWN)
                yield Reached(task, part(float(row[setting.scale.measure])), figures)


def sections(results_dir: Path) -> list[Section]:
    """Make the sections: figures of all runs, and figures of the rewards that were judged by the true one."""
    runs = _apart(run for results in results_with_rows(results_dir) for run in runs_with_figures(results))
    judged = list(learned(read_rows(results_dir / "relearned" / "runs.csv"), results_dir))
    own, fresh = ([Reached(j.task, part(j), _finite(j.row, JUDGED)) for j in judged] for part in PARTS)
    return [
        Section("What a user knows", "the return", KNOWN, runs),
        Section(
            "Judged by the true reward, and the run's own policy", "the return of the run's own policy", JUDGED, own
        ),
        Section("Judged by the true reward, and a fresh policy", "the return of a fresh policy", JUDGED, fresh),
    ]


def _apart(runs: Iterable[Reached]) -> list[Reached]:
    """Keep one of runs with equal figures: two questions may have the same setting."""
    return list({(run.task, tuple(run.figures.items())): run for run in runs if run.figures}.values())


PARTS = (attrgetter("own"), attrgetter("relearned"))


def _finite(row: Row, columns: Collection[str]) -> dict[str, float]:
    told = {column: float(row[column]) for column in columns if row.get(column) not in ("", None)}
    return {column: value for column, value in told.items() if math.isfinite(value)}


def pooled(runs: Sequence[Reached], column: str) -> tuple[float, float, int, int] | None:
    """Correlate a figure with the return, after subtracting the task's mean from both.

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
    found = [section for section in sections(results_dir) if section.ranked]
    if not found:
        raise ValueError(f"no task in {results_dir} has 2 runs that learned from answers; do them first")
    return "\n".join(_lines(found))


def _lines(found: Sequence[Section]) -> Iterator[str]:
    yield "<!-- Made by `python -m experiments.measurements.foretells`; what is changed here by hand is lost. -->"
    yield "# Which figure foretells the return?\n"
    steady = f"Of what a user knows, {listed(found[0].steady)} has the same sign on every task."
    yield f"**{' '.join([steady, *map(_answer, found)])}**\n"
    yield f"{(__doc__ or '').partition(chr(10) * 2)[2]}"
    yield "```\npython -m experiments.measurements.foretells\n```\n"
    for section in found:
        yield from _section(section)
    yield HOW_TO_READ


def _answer(section: Section) -> str:
    best, (_, spearman, runs, tasks) = next(iter(section.ranked.items()))
    wrong = ", which is the wrong direction" if (spearman > 0) == (best in LOWER_IS_BETTER) else ""
    return (
        f"Of {len(section.ranked)} figures *{section.figures[best]}* correlates most with {section.returns}: rank "
        f"correlation {_signed(spearman)} within tasks, over {runs} runs of {tasks} tasks{wrong}."
    )


def _section(section: Section) -> Iterator[str]:
    names, ranked = section.figures, section.ranked
    yield f"## {section.title}\n"
    yield "All tasks together, minus the task's mean on both sides, or easy tasks would look like good rewards.\n"
    yield "| figure | Spearman | Pearson | runs | tasks |\n|---|---|---|---|---|"
    for column, (pearson, spearman, n, tasks) in ranked.items():
        yield f"| {names[column]} (`{column}`) | {_signed(spearman)} | {_signed(pearson)} | {n} | {tasks} |"
    tables = {column: of_tasks(section.runs, column) for column in ranked}
    if tasks_of := dict.fromkeys(task for table in tables.values() for task in table):
        yield f"\nSpearman's coefficient on each task with {FEWEST} runs or more.\n"
        yield f"| task | runs | {' | '.join(names[column] for column in ranked)} |"
        yield "|---" * (len(ranked) + 2) + "|"
    for task in tasks_of:
        cells = [_signed(tables[c][task][1]) if task in tables[c] else "" for c in ranked]
        n = max(table[task][2] for table in tables.values() if task in table)
        yield f"| {task} | {n} | {' | '.join(cells)} |"
    yield ""


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
