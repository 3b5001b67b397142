"""Learn a reward, judge it, and train a fresh policy on it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.harness.fingerprint import CODE, code_of
from experiments.harness.made import made_columns
from experiments.harness.parts import RETURN
from experiments.harness.settings import Setting, load
from rlhf_gym.reward_report import ROWS, Returns, assess, judge_run, relearn
from rlhf_gym.rlhf import RLHF

LEARNED: Mapping[str, Sequence[str]] = {
    "classic_control": ("pendulum_30", "acrobot_50", "mountain_car_50", "mountain_car_continuous_50"),
    "cartpole": ("hold_at_one_50",),
    "mujoco": (
        "half_cheetah_50",
        "reacher_50",
        "hopper_50",
        "swimmer_50",
        "walker2d_50",
        "inverted_pendulum_50",
        "inverted_double_pendulum_50",
    ),
}
"""Settings by question, in the order to run them: those whose number of answers should be enough."""
FRESH = 1000  # added to a run's seed: the seed of the fresh policy
JUDGED_ON = {
    "all": "the run's policy, exploring and deterministic, an untrained one and uniform actions, together",
    "policy": "the run's policy as it explores",
}
"""Whose trajectories rewards are judged on, by their names in the report."""


@dataclass(frozen=True)
class Job:
    """One reward to be learned, judged, and learned from."""

    question: str
    name: str
    setting: Setting
    seed: int

    @property
    def key(self) -> dict[str, str]:
        """The columns by which its row is found."""
        return {"question": self.question, "setting": self.name, "seed": str(self.seed)}

    @property
    def code(self) -> str:
        """Hash of the code that its row depends on today."""
        return code_of(self.setting.run_config(self.seed), (relearn, assess))


def jobs(seeds: Sequence[int], only: Sequence[str] = ()) -> list[Job]:
    """List what there is to do.

    Args:
        seeds: Seeds of the runs.
        only: Names of settings; all if empty.

    Raises:
        ValueError: On a name that isn't one of :data:`LEARNED`.
    """
    known = {name: question for question, names in LEARNED.items() for name in names}
    if unknown := [name for name in only if name not in known]:
        raise ValueError(f"only has {unknown[0]}; use some of {', '.join(known)}")
    return [Job(known[name], name, load(known[name]).SETTINGS[name], seed) for name in only or known for seed in seeds]


def run(job: Job, command: str) -> dict[str, Any]:
    """Learn a reward, judge it on fresh trajectories, freeze it, and train a fresh policy on it; return one row."""
    config = job.setting.run_config(job.seed)
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "run"
        with closing(RLHF(config.replace(run_dir=str(folder)))) as rlhf:
            rlhf.learn()
        report = {source.name: source for source in assess(judge_run(folder)).sources}
        found = relearn(folder, seeds=[FRESH + job.seed])
    own, fresh = found.own, found.relearned[0]
    metrics = {f"{on}_{row.key}": report[on].figures[row.key].value for on in JUDGED_ON for row in ROWS}
    return {
        **job.key,
        "env_id": config.env_id,
        "goal": config.feedback.goal,
        "labels": config.labels,
        "total_timesteps": config.total_timesteps,
        "own": _measured(job, own),
        "relearned": _measured(job, fresh),
        "own_learned_return": own.learned_return_mean,
        "relearned_learned_return": fresh.learned_return_mean,
        **metrics,
        CODE: job.code,
        **made_columns(command),
    }


def _measured(job: Job, returns: Returns) -> float | None:
    """Get the return that the question's scale measures: the true one, or that by the goal."""
    scale = job.setting.scale
    by_goal = scale is not None and scale.measure != RETURN
    return returns.goal_return_mean if by_goal else returns.true_return_mean
