"""Draw how far labels go on every task, from stored rows alone: `python -m experiments.measurements.front_page`.

Makes `labels.png` and `labels.csv`, which holds the numbers it draws, in the folder of results.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tyro

from experiments.measurements.fractions import Point, elsewhere, measured, results_with_rows
from experiments.measurements.labels_figure import draw
from rlhf_gym.sweeps.records import append_rows


def front_page(results_dir: Path = Path("results")) -> Path:
    """Write the figure and its table.

    Returns:
        The figure's path.

    Raises:
        ValueError: If there is nothing to compare yet.
    """
    points, left_out = measured(results_with_rows(results_dir))
    points += elsewhere(results_dir)
    figure = draw(points, left_out)
    table, picture = results_dir / "labels.csv", results_dir / "labels.png"
    table.unlink(missing_ok=True)
    append_rows(table, [_rounded(point) for point in points])
    figure.savefig(picture, dpi=150)
    return picture


def _rounded(point: Point) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(point).items()}


def main(results_dir: Path = Path("results")) -> int:
    """Write the figure of the front page, and its table.

    Args:
        results_dir: Folder of results.
    """
    try:
        print(front_page(results_dir))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
