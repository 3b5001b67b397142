"""The report of a learned reward: figures by policy, as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.rewards.metrics.metric import make_metric, measure


class Row(NamedTuple):
    """One line of the report."""

    title: str
    metric: str
    options: Mapping[str, Any] = {}  # noqa: RUF012

    @property
    def key(self) -> str:
        """Its name in JSON: the metric's, and its options."""
        return "_".join([self.metric, *(f"{name}_{value}" for name, value in self.options.items())])


ROWS = (
    Row("pair accuracy, held out", "gap_accuracy"),
    Row("  closest quarter of the pairs", "gap_accuracy", {"quarter": 1}),
    Row("  second quarter", "gap_accuracy", {"quarter": 2}),
    Row("  third quarter", "gap_accuracy", {"quarter": 3}),
    Row("  clearest quarter", "gap_accuracy", {"quarter": 4}),
    Row("calibration error (ECE)", "calibration_error"),
    Row("Pearson per step", "correlation"),
    Row("Spearman per step", "spearman"),
    Row("Pearson per segment", "segment_correlation"),
    Row("Spearman per segment", "segment_spearman"),
    Row("EPIC distance", "epic"),
    Row("DARD distance", "dard"),
    Row("disagreement with error", "disagreement"),
    Row("  inside coverage", "disagreement", {"where": "inside"}),
    Row("  outside coverage", "disagreement", {"where": "outside"}),
    Row("share of steps outside", "outside_coverage"),
)
CONSTANT = "one of the two rewards is constant on these steps"


class Figure(NamedTuple):
    """A number, or the reason why there is none."""

    value: float | None
    why: str = ""

    def __str__(self) -> str:
        return "-" if self.value is None else f"{self.value:.3f}"


@dataclass(frozen=True)
class SourceReport:
    """The figures of one policy's trajectories.

    Args:
        name: The policy's.
        about: Description of the policy.
        n_episodes: How many were judged.
        n_steps: Number of their steps.
        true_return_mean: By the environment, or by the goal.
        figures: By the rows' keys.
    """

    name: str
    about: str
    n_episodes: int
    n_steps: int
    true_return_mean: float
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class RewardReport:
    """How good a learned reward is.

    Args:
        title: Which run, and what it was taught by.
        rows: What was measured.
        notes: What a reader has to know of the figures.
        sources: Each policy apart, and all together.
        weights: Largest weights by name, each with its standard error; none where the model isn't linear.
    """

    title: str
    rows: Sequence[Row]
    notes: Sequence[str]
    sources: Sequence[SourceReport]
    weights: Sequence[tuple[str, float, float]] = ()

    def to_json(self) -> dict[str, Any]:
        """Turn the report into plain JSON values; a figure that can't be computed is None, with its reason listed."""
        return {
            "title": self.title,
            "notes": list(self.notes),
            "sources": {source.name: _source_json(source) for source in self.sources},
            "weights": [{"name": name, "weight": weight, "error": error} for name, weight, error in self.weights],
        }

    def lines(self) -> Iterable[str]:
        """Yield the lines of the table, for a terminal."""
        yield self.title
        yield from (f"{source.name}: {source.about}" for source in self.sources)
        yield ""
        widths = [max(len(source.name), 9) for source in self.sources]
        for title, cells in self._table():
            yield f"{title:<31}" + "".join(f"  {cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        yield ""
        yield from self.notes
        yield from self._reasons()
        if self.weights:
            yield "\nwhat it thinks the teacher wants: its largest weights, ± standard error"
            yield from (f"  {weight:+8.3f} ± {error:.3f}  {name}" for name, weight, error in self.weights)

    def _table(self) -> Iterable[tuple[str, list[str]]]:
        yield "", [source.name for source in self.sources]
        yield "episodes", [str(source.n_episodes) for source in self.sources]
        yield "return by the true reward", [f"{source.true_return_mean:.4g}" for source in self.sources]
        for row in self.rows:
            yield row.title, [str(source.figures[row.key]) for source in self.sources]

    def _reasons(self) -> Iterable[str]:
        """Yield why figures are missing, by column; columns that miss the same ones are named together."""
        missing: dict[tuple[str, str], list[str]] = {}
        for source in self.sources:
            of: dict[str, list[str]] = {}
            for row in self.rows:
                if why := source.figures[row.key].why:
                    of.setdefault(why, []).append(row.title.strip())
            for why, titles in of.items():
                missing.setdefault((why, "; ".join(titles)), []).append(source.name)
        yield from (f"- {why} ({', '.join(names)}): no {titles}" for (why, titles), names in missing.items())


def report_source(name: str, about: str, judged: Judged, rows: Sequence[Row] = ROWS) -> SourceReport:
    """Measure all rows on one policy's trajectories."""
    return SourceReport(
        name=name,
        about=about,
        n_episodes=len(judged.trajectories),
        n_steps=judged.step_rewards.shape[1],
        true_return_mean=float(judged.step_rewards[1].sum() / len(judged.trajectories)),
        figures={row.key: figure(row, judged) for row in rows},
    )


def figure(row: Row, judged: Judged) -> Figure:
    """Compute a row's figure, or find the reason why there is none."""
    try:
        value = measure(make_metric(row.metric, row.options), judged)
    except BadInput as error:
        return Figure(None, str(error))
    return Figure(value) if math.isfinite(value) else Figure(None, CONSTANT)


def _source_json(source: SourceReport) -> dict[str, Any]:
    return {
        "about": source.about,
        "n_episodes": source.n_episodes,
        "n_steps": source.n_steps,
        "true_return_mean": source.true_return_mean,
        "metrics": {key: figure.value for key, figure in source.figures.items()},
        "untold": {key: figure.why for key, figure in source.figures.items() if figure.why},
    }
