"""Curves of looks at policies: read from rows, and averaged over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.measurements.overoptimisation.stopping import Curve

Rows = Sequence[Mapping[str, str]]
Curves = Mapping[tuple[str, str], list[Curve]]
"""By task and labels, one curve per seed."""


def curves_of(rows: Rows) -> Curves:
    """Sort looks into curves; if a look has two rows, the later one counts."""
    found: dict[tuple[str, str], dict[int, dict[int, Mapping[str, float]]]] = {}
    for row in rows:
        numbers = {name: float(value) for name, value in row.items() if name not in ("task", "labels")}
        seeds = found.setdefault((row["task"], row["labels"]), {})
        seeds.setdefault(int(row["seed"]), {})[int(row["look"])] = numbers
    return {
        key: [[looks[at] for at in sorted(looks)] for _, looks in sorted(seeds.items())] for key, seeds in found.items()
    }


def column(curves: Sequence[Curve], name: str) -> np.ndarray:
    """Average a column over seeds, look by look, up to the end of the shortest curve."""
    length = min(map(len, curves))
    return np.asarray(np.mean([[look[name] for look in curve[:length]] for curve in curves], axis=0))


def distance(curves: Sequence[Curve]) -> np.ndarray:
    """Average the square root of the divergence over seeds, look by look: the x-axis of Gao et al."""
    length = min(map(len, curves))
    return np.asarray(np.mean([np.sqrt([look["kl"] for look in curve[:length]]) for curve in curves], axis=0))


def gold(curves: Sequence[Curve]) -> np.ndarray:
    """Average the true return over seeds and all episodes, look by look."""
    return np.asarray((column(curves, "gold") + column(curves, "gold_again")) / 2)


def ends_of(task: str, curves: Curves) -> tuple[float, float]:
    """Find the returns that count as 0 and 1 on a task: the mean at the start, and the highest mean over seeds."""
    own = [of for (name, _), of in curves.items() if name == task]
    return float(np.mean([gold(of)[0] for of in own])), float(max(gold(of).max() for of in own))
