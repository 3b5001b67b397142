"""The report of `evaluate` about a run's learned reward."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rlhf_gym.config import RLHFConfig
from rlhf_gym.files import check_output
from rlhf_gym.verbs.arguments import check_played

if TYPE_CHECKING:
    from rlhf_gym.reward_report import RunJudged
    from rlhf_gym.segments import Trajectory
    from rlhf_gym.verbs.looking import Evaluate


def report_reward(asked: Evaluate) -> None:
    """Print how good a run's learned reward is, and draw the figures asked for."""
    check_played(n_episodes=asked.n_episodes, seed=asked.seed)
    from rlhf_gym.reward_report import ROWS, Row, assess, check_variables, judge_run

    if asked.map:
        check_variables(asked.run_dir, *asked.map)  # before episodes are played
    if asked.map or asked.output:
        check_output("output", asked.output or asked.run_dir, folder=True)
    run = judge_run(asked.run_dir, n_episodes=asked.n_episodes, seed=asked.seed)
    figures = _drawn(asked, run)
    known = {row.metric for row in ROWS}
    report = assess(run, [*ROWS, *(Row(name, name) for name in asked.metrics if name not in known)])
    if asked.json:
        print(json.dumps(report.to_json()))
    else:
        print(*report.lines(), *(f"wrote {figure}" for figure in figures), sep="\n")


def _drawn(asked: Evaluate, run: RunJudged) -> list[Path]:
    """Draw the figures that are asked for."""
    from rlhf_gym.reward_report import map_figure, reliability_figure

    folder, figures = asked.output or asked.run_dir, []
    folder.mkdir(parents=True, exist_ok=True)
    if asked.map:
        figures.append(folder / "map.png")
        map_figure(run, *asked.map, figures[-1])
    if asked.output:
        figures.append(folder / "reliability.png")
        reliability_figure(run, figures[-1])
    return figures


def measured(
    names: Sequence[str], run_dir: Path, config: RLHFConfig, episodes: Sequence[Trajectory]
) -> dict[str, float | None]:
    """Compute metrics by name; None for one that isn't finite."""
    if not names:
        return {}
    import math

    from rlhf_gym.reward_report import judging_of
    from rlhf_gym.rewards.metrics.metric import make_metric, measure
    from rlhf_gym.rewards.metrics.quadratic import with_true_function

    judged = with_true_function(judging_of(run_dir, config)(episodes))
    values = {name: measure(make_metric(name, {}), judged) for name in names}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
