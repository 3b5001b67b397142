"""Tasks, and the settings of their runs: one gathers answers, and one is paid the reward learned from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.questions.cartpole.settings import HOLD_AT_ONE
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import merge

BUDGETS = (10, 50, 200)
"""Labels; with 10, over-optimisation is more likely than with the presets' numbers, and with 200 less."""
TRUE = "true"
"""In place of a budget: paid the true reward, or the goal."""
LOOKS = 30
"""Looks at the policy during training, evenly spread, after a first one at the start."""
GATHERING_ROUNDS = 4


@dataclass(frozen=True)
class Task:
    """A task whose learned reward is over-optimised.

    Args:
        title: Its name in figures.
        config: Settings laid over its preset.
        gathering: Environment steps of the run that gathers answers, so few that they are about early policies.
        steps: Environment steps of the fresh policy.
    """

    title: str
    config: Mapping[str, Any]
    gathering: int
    steps: int


TASKS = {
    "pendulum": Task("Pendulum-v1", {"env_id": "Pendulum-v1"}, 12_288, 160_000),
    "hold_at_one": Task("CartPole-v1 at x = +1", HOLD_AT_ONE, 8_192, 160_000),
    "half_cheetah": Task("HalfCheetah-v5", {"env_id": "HalfCheetah-v5"}, 32_768, 600_000),
    "hopper": Task("Hopper-v5", {"env_id": "Hopper-v5"}, 32_768, 600_000),
}


@dataclass(frozen=True)
class Job:
    """One fresh policy, on the reward learned from some labels."""

    task: str
    labels: str
    seed: int

    @property
    def key(self) -> dict[str, str]:
        """The columns by which its rows are found."""
        return {"task": self.task, "labels": self.labels, "seed": str(self.seed)}


def jobs(tasks: Sequence[str], seeds: Sequence[int]) -> list[Job]:
    """List all runs."""
    budgets = [*map(str, BUDGETS), TRUE]
    return [Job(task, labels, seed) for task in tasks for seed in seeds for labels in budgets]


def gathering_config(job: Job) -> RLHFConfig:
    """Make the settings of the run that gathers the answers: short, so that only early policies are asked about."""
    task = TASKS[job.task]
    query = {"rounds": GATHERING_ROUNDS, "schedule": "constant", "schedule_options": {}}
    return _config(task, job, labels=int(job.labels), total_timesteps=task.gathering, query=query)


def fresh_config(job: Job, reward_model: str, steps: int) -> RLHFConfig:
    """Make the settings of the run on the frozen reward, or the true one, with a constant learning rate."""
    frozen = {"source": "frozen", "source_options": {"path": reward_model}}
    return _config(
        TASKS[job.task],
        job,
        labels=0,
        total_timesteps=steps,
        query={"rounds": LOOKS},
        reward={"source": TRUE} if job.labels == TRUE else frozen,
        agent={"schedule": "constant"},
    )


def _config(task: Task, job: Job, **more: Any) -> RLHFConfig:
    settings = {"seed": job.seed, **more}
    return RLHFConfig.for_env(**merge(task.config, settings))
