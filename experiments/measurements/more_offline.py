"""Which option of `reward.more` orders fresh segments better? `python -m experiments.measurements.more_offline`.

The steps are all those of a PPO that is paid the true reward, or the goal. Every second episode serves for queries and
for learning without labels; the others are fresh. An errorless teacher answers 50 random pairs, and networks alone,
with the settings of the task's preset, are fitted ten times, to 12 answers at first and to all at last, as in a run.
Accuracy is how often the reward puts two segments in their true order, of 1,000 fresh pairs; correlation is that of the
rewards of fresh steps with the true ones. A difference is from plain networks that are fitted to the same answers, with
its standard error over seeds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import torch
import tyro

from experiments.questions.more_from_labels.settings import NETWORKS, OPTIONS, TASKS
from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.assembly import make_learner, random_streams
from rlhf_gym.config.mappings import merge
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Preference, Query
from rlhf_gym.segments import Array, Segment, Trajectory, sample_segments
from rlhf_gym.teachers import OracleTeacher, goal_returns, goal_rewards, load_goal, true_returns

STEPS, LABELS, FRESH = 40_000, 50, 2000
FITTED = (12, 16, 20, 24, 28, 32, 36, 40, 45, 50)
WITHOUT_PART = ("disagreement_bonus",)  # options without effect on a fit


class Pool(NamedTuple):
    """Trajectories of a PPO.

    Args:
        venv: Its environments, whose spaces the reward model is made for.
        asked: Trajectories for queries, and for learning features.
        fresh: Trajectories that rewards are judged on.
        goal: What the teacher wants; None is the environment's reward.
    """

    venv: Any
    asked: Sequence[Trajectory]
    fresh: Sequence[Trajectory]
    goal: Any


def gather(task: str, steps: int = STEPS) -> Pool:
    """Train a PPO on the true reward, or the goal, and keep its trajectories on the way."""
    shared = {"labels": 0, "total_timesteps": steps, "reward": {"source": "true"}}
    config = RLHFConfig.for_env(**merge(TASKS[task].config, shared | {"query": {"memory_steps": steps}}))
    with closing(RLHF(config)) as rlhf:
        for _ in rlhf.rounds():
            pass
        found = rlhf.recorder.trajectories()
        goal = load_goal(config.feedback.goal) if config.feedback.goal else None
        return Pool(rlhf.venv, found[::2], found[1::2], goal)


def answered(pool: Pool, length: int, seed: int) -> list[Preference]:
    """Draw random pairs, and have them answered without error."""
    segments = sample_segments(pool.asked, length=length, n=2 * LABELS, rng=np.random.default_rng(seed))
    queries = [Query((segments[2 * i], segments[2 * i + 1]), id=f"q{i}") for i in range(LABELS)]
    said = OracleTeacher(pool.goal).answer(queries)
    return [Preference(query, answer) for query, answer in zip(queries, said, strict=True)]


def measure(task: str, name: str, pool: Pool, seed: int) -> tuple[float, float, float]:
    """Fit to more and more answers; return accuracy, correlation, and CPU milliseconds of a fit."""
    config = RLHFConfig.for_env(**merge(merge(TASKS[task].config, NETWORKS), OPTIONS[name][1]))
    learner = make_learner(config, pool.venv, random_streams(seed))
    kept, began = choices(answered(pool, config.segment_length, seed)), time.process_time()
    for n in FITTED:
        learner.fit(kept[:n], pool.asked)
    milliseconds = 1000 * (time.process_time() - began) / len(FITTED)
    learner.rescale(pool.asked, shift=False)
    fresh = sample_segments(pool.fresh, length=config.segment_length, n=FRESH, rng=np.random.default_rng(0))
    true = (goal_returns(pool.goal) if pool.goal else true_returns)(fresh)
    learned = np.array([rewards.sum() for rewards in np.split(_paid(learner, fresh), _ends(fresh))])
    told = true[::2] != true[1::2]
    accuracy = ((learned[::2] > learned[1::2]) == (true[::2] > true[1::2]))[told].mean()
    rewards = np.concatenate([_true(pool.goal, one) for one in pool.fresh])
    return float(accuracy), float(np.corrcoef(_paid(learner, pool.fresh), rewards)[0, 1]), milliseconds


def _paid(learner: Any, found: Sequence[Trajectory | Segment]) -> Array:
    """Compute the members' mean reward of each step, concatenated."""
    steps = [(one.observations[:-1], one.actions, one.observations[1:]) for one in found]
    return np.asarray(learner.model.reward_function()(*(np.concatenate(part) for part in zip(*steps, strict=True))))


def _ends(found: Sequence[Segment]) -> Array:
    return np.cumsum([one.lived for one in found])[:-1]


def _true(goal: Any, one: Trajectory) -> Array:
    steps = (one.observations[:-1], one.actions, one.observations[1:])
    return np.asarray(goal_rewards(goal, *steps) if goal else one.rewards)


def table(task: str, found: dict[str, Array]) -> Iterator[str]:
    """Write a line for each option, from accuracy, correlation and milliseconds over seeds, shape (seeds, 3)."""
    yield f"\n{TASKS[task].title}\n"
    yield "| option | accuracy | difference | correlation | difference | ms a fit |"
    yield "|---" * 6 + "|"
    for name, figures in found.items():
        cells = []
        for column in range(2):
            difference = figures[:, column] - found["plain"][:, column]
            error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
            cells.append(f"{figures[:, column].mean():.3f} | {difference.mean():+.3f} ± {error:.3f}".replace("-", "−"))
        yield f"| {OPTIONS[name][0]} | {' | '.join(cells)} | {figures[:, 2].mean():.0f} |"


def main(seeds: int = 5, steps: int = STEPS) -> int:
    """Measure, and print a table for each task.

    Args:
        seeds: Draws of pairs, and of networks.
        steps: Environment steps of the PPO.
    """
    torch.set_num_threads(1)
    for task in TASKS:
        pool = gather(task, steps)
        names = [name for name in OPTIONS if name not in WITHOUT_PART]
        found = {name: np.array([measure(task, name, pool, seed) for seed in range(seeds)]) for name in names}
        print("\n".join(table(task, found)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(main))
