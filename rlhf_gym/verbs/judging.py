"""The report of `evaluate` about a run's learned reward."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.files import check_output
from rlhf_gym.verbs.arguments import check_played

if TYPE_CHECKING:
    from rlhf_gym.reward_report import Figure, RunJudged
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
) -> dict[str, Figure]:
    """Compute metrics by name; one that can't be computed is a figure with the reason.

    Raises:
        BadInput: If none can be computed, with the reasons.
    """
    if not names:
        return {}
    from rlhf_gym.reward_report import CONSTANT, Row, figure, judging_of
    from rlhf_gym.rewards.metrics.quadratic import with_true_function

    judged = with_true_function(judging_of(run_dir, config)(episodes))
    found = {name: figure(Row(name, name), judged) for name in names}
    reasons = dict.fromkeys(figure.why for figure in found.values())
    if not {"", CONSTANT} & set(reasons):
        raise BadInput("; ".join(reasons))
    return found
