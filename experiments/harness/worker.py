"""Do one run in a process of its own: `python -m experiments.harness.worker NAME SETTING SEED OUTPUT [--testing]`.

:mod:`experiments.harness.run` starts it; a fresh process keeps a run's memory, threads and random state to itself.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import tyro

from experiments.harness.fingerprint import CODE, code_of
from experiments.harness.jobs import Job, Rows
from experiments.harness.made import made_columns
from experiments.harness.settings import Setting, choose, known_columns, load, measure_names
from rlhf_gym.envs import frames_per_second, replay, write_clip
from rlhf_gym.reporting import evaluate
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import metrics_so_far, read_run
from rlhf_gym.sweeps.columns import summary_columns
from rlhf_gym.sweeps.fresh_process import stop_in_order

CLIP_SECONDS, CLIP_WIDTH = 5, 240


def do(job: Job, clip: Path) -> Rows:
    """Do a run, or its first rounds; then its row has no figures of the whole run.

    Args:
        job: What to do.
        clip: Where to write the clip, if the setting wants one.
    """
    settings = choose(load(job.experiment), testing=job.testing)
    setting = settings[job.setting]
    config = setting.run_config(job.seed)
    code = code_of(config, setting.measures.values())  # before anybody edits it
    summary: dict[str, Any] = {}
    measures: dict[str, float] = {}
    if job.first < 1:
        metrics = run_first(setting, job.seed, job.first)
    else:
        summary, metrics, measures = run_setting(setting, job.seed, clip)
    known = known_columns(job.experiment, job.setting, config)
    row = run_row(known, summary, measures, measure_names(settings), job.command, code)
    return {"run": row, "curves": [{"setting": job.setting, "seed": job.seed} | row for row in metrics]}


def run_first(setting: Setting, seed: int, first: float) -> list[dict[str, float]]:
    """Do the first rounds of a run; returns its metrics by round.

    Args:
        setting: What to run.
        seed: The run's seed.
        first: Share of its rounds, above 0.
    """
    with tempfile.TemporaryDirectory() as directory:
        with closing(RLHF(setting.run_config(seed).replace(run_dir=f"{directory}/run"))) as rlhf:
            for _ in islice(rlhf.rounds(), math.ceil(first * len(rlhf.plan))):
                pass
        return metrics_so_far(f"{directory}/run")


def run_setting(
    setting: Setting, seed: int, clip: Path
) -> tuple[dict[str, Any], list[dict[str, float]], dict[str, float]]:
    """Learn, then play the episodes that the setting's measures are taken from.

    Args:
        setting: What to run.
        seed: The run's seed.
        clip: Where to write the clip, if the setting wants one.

    Returns:
        The summary of the run, its metrics by round, and the measures.
    """
    config = setting.run_config(seed)
    with tempfile.TemporaryDirectory() as directory:
        rlhf = RLHF(config.replace(run_dir=f"{directory}/run"))
        summary = rlhf.learn()
        metrics = read_run(f"{directory}/run").metrics
    measures: dict[str, float] = {}
    if setting.measures or setting.clip:
        episodes = evaluate(rlhf.predict, config, seed=seed)
        measures = {name: measure(episodes) for name, measure in setting.measures.items()}
        if setting.clip and seed == setting.seeds[0]:
            fps = frames_per_second(config.env_id, config.env_kwargs)
            begin = episodes[0].cut(0, CLIP_SECONDS * fps)
            write_clip(replay(begin), clip, fps=fps, width=CLIP_WIDTH)
    return summary, metrics, measures


def run_row(
    known: dict[str, Any],
    summary: dict[str, Any],
    measures: dict[str, float],
    names: Sequence[str],
    command: str,
    code: str,
) -> dict[str, Any]:
    """Make the run's row."""
    # A goal's return is a measure of its setting; as a column of its own, it would keep older tables from growing.
    figures = {name: value for name, value in summary.items() if name != "goal_return_mean"}
    return (
        known
        | summary_columns(known, figures)
        | {name: measures.get(name, "") for name in names}
        | {CODE: code}
        | made_columns(command)
    )


def main(
    name: tyro.conf.Positional[str],
    setting: tyro.conf.Positional[str],
    seed: tyro.conf.Positional[int],
    output: tyro.conf.Positional[Path],
    /,
    testing: bool = False,
    first: Annotated[float, tyro.conf.arg(help="share of its rounds to do; the row of fewer has no figures")] = 1.0,
) -> None:
    """Run one setting with one seed, and write its rows as JSON."""
    output.write_text(json.dumps(do(Job(name, setting, seed, testing, first), output.with_suffix(".webp"))))


if __name__ == "__main__":
    stop_in_order()
    tyro.cli(main)
