"""The runs: one gathers answers, and one for each weight is paid the learned rewards or the true one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlhf_gym.config import RLHFConfig
from rlhf_gym.reporting import evaluate
from rlhf_gym.rlhf import RLHF
from rlhf_gym.segments import Array, Trajectory

ENV_ID, FAST, GENTLE = "HalfCheetah-v5", "fast", "gentle"
RULES = str(Path(__file__).with_name("fast_and_gentle.yaml"))
GATHERED_AT = 0.5
"""Weight of gentleness in the run that gathers the answers."""
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Weights of gentleness; speed weighs 1, and both learned rewards are of unit size."""
COSTS = (0.0, 0.1, 0.5, 1.0, 2.0)
"""Costs of effort in the true reward; 0.1 is the environment's own."""
LABELS = 200
"""Answers to gather, two for each query."""


@dataclass(frozen=True)
class Job:
    """One run: `paid` "learned" or "true", with a weight of gentleness."""

    paid: str
    weight: float
    seed: int

    @property
    def key(self) -> dict[str, str]:
        """The columns by which its row is found."""
        return {"paid": self.paid, "weight": str(self.weight), "seed": str(self.seed)}


def jobs(seeds: Sequence[int]) -> list[Job]:
    """List all runs."""
    return [
        Job(paid, weight, seed)
        for seed in seeds
        for paid, weights in (("learned", WEIGHTS), ("true", COSTS))
        for weight in weights
    ]


def cost_of_effort(cost: float) -> Mapping[str, Any]:
    """Make the environment's settings for a reward of speed less `cost` times the effort."""
    return {"ctrl_cost_weight": cost}


def gather(directory: Path, seed: int, steps: int) -> None:
    """Have both principles answer while a policy learns, and keep the run."""
    _learn(learned_config(GATHERED_AT, seed, steps, labels=LABELS, run_dir=str(directory)))


def learned_config(weight: float, seed: int, steps: int, **more: Any) -> RLHFConfig:
    """Make the settings of a run that is paid the weighted sum of two learned rewards."""
    return RLHFConfig.for_env(
        ENV_ID,
        seed=seed,
        total_timesteps=steps,
        teacher="principles",
        teacher_options={"file": RULES},
        method="objectives",
        method_options={"weights": {FAST: 1.0, GENTLE: weight}},
        **more,
    )


def run(job: Job, steps: int, answers: Path) -> dict[str, float]:
    """Do a run, and return its policy's mean speed and effort."""
    if job.paid == "learned":
        more = {"labels": 0, "feedback": {"preferences": str(answers)}}
        return _learn(learned_config(job.weight, job.seed, steps, **more))
    return _learn(
        RLHFConfig.for_env(
            ENV_ID,
            seed=job.seed,
            total_timesteps=steps,
            env_kwargs=cost_of_effort(job.weight),
            labels=0,
            reward={"source": "true"},
        )
    )


def _learn(config: RLHFConfig) -> dict[str, float]:
    rlhf = RLHF(config)
    try:
        rlhf.learn()
        return measured(evaluate(rlhf.predict, config, seed=config.seed))
    finally:
        rlhf.close()


def measured(episodes: Sequence[Trajectory]) -> dict[str, float]:
    """Compute mean speed in m/s and mean effort, the sum of squared actions, over all steps."""
    speeds = np.concatenate([_speeds(episode) for episode in episodes])
    efforts = np.concatenate([np.square(episode.actions).sum(axis=1) for episode in episodes])
    return {"speed": float(speeds.mean()), "effort": float(efforts.mean())}


def _speeds(episode: Trajectory) -> Array:
    """Read the body's speed after each step from the observations."""
    return np.asarray(episode.observations[1:, 8])
