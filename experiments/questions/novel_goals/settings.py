"""Every setting of the experiment on goals that no environment pays for, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.harness.controls import TRUE, Settings, constant
from experiments.harness.settings import Bound, Family, Measure, Setting, shortened
from experiments.questions.novel_goals.measures import (
    flips_backwards,
    flips_forwards,
    metres_backwards,
    metres_on_back_leg,
    pendulum_turns,
    seconds_on_right_leg,
)
from rlhf_gym.config.mappings import merge
from rlhf_gym.plots import Panel

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Task:
    """A goal, its environment, and the bound from which it counts as learned."""

    goal: str
    title: str
    config: Mapping[str, Any]
    labels: int
    measure: Measure
    learned: Bound
    unit: str


FALLING = {"env_kwargs": {"terminate_when_unhealthy": False}}
TASKS = {
    "pendulum_spin": Task(
        "pendulum_spin",
        "Pendulum-v1, spinning",
        # Momentum pays later than balance: with the preset's 0.9 one seed of three learned to spin; with 0.97 all of
        # seeds 100 to 102 did.
        {"env_id": "Pendulum-v1", "total_timesteps": 100_000, "agent": {"gamma": 0.97}},
        50,
        pendulum_turns,
        Bound("pendulum_turns", least=8),
        "turns in 10 s",
    ),
    "cheetah_backwards": Task(
        "half_cheetah_backwards",
        "HalfCheetah-v5, backwards",
        {"env_id": "HalfCheetah-v5", "total_timesteps": 300_000},
        100,
        metres_backwards,
        Bound("metres_backwards", least=50),
        "metres backwards in 50 s",
    ),
    "cheetah_flip": Task(
        "half_cheetah_flip",
        "HalfCheetah-v5, somersaults",
        {"env_id": "HalfCheetah-v5", "total_timesteps": 300_000},
        100,
        flips_forwards,
        Bound("flips_forwards", least=10),
        "somersaults in 50 s",
    ),
    "cheetah_one_leg": Task(
        "half_cheetah_one_leg",
        "HalfCheetah-v5, on the back leg",
        {"env_id": "HalfCheetah-v5", "total_timesteps": 300_000},
        200,
        metres_on_back_leg,
        Bound("metres_on_back_leg", least=25),
        "metres on the back leg in 50 s",
    ),
    "hopper_backflip": Task(
        "hopper_backflip",
        "Hopper-v5, backflips",
        {"env_id": "Hopper-v5", "total_timesteps": 300_000, **FALLING},
        200,
        flips_backwards,
        Bound("flips_backwards", least=4),
        "backflips in 8 s",
    ),
    "walker_one_leg": Task(
        "walker_one_leg",
        "Walker2d-v5, on the right leg",
        {"env_id": "Walker2d-v5", "total_timesteps": 300_000, **FALLING},
        200,
        seconds_on_right_leg,
        Bound("seconds_on_right_leg", least=4),
        "seconds on the right leg, of 8 s",
    ),
}
CONTROLS: Mapping[str, tuple[str, Settings]] = {
    "ppo_goal": ("PPO on the goal", TRUE),
    "random_answers": ("random answers", {"teacher": "random"}),
    "constant": ("constant reward +1", constant(1.0)),
}


def _settings(name: str) -> dict[str, Setting]:
    task = TASKS[name]
    shared = merge(task.config, {"feedback": {"goal": task.goal}, "labels": task.labels})
    more: dict[str, Any] = {"measures": {task.measure.__name__: task.measure}, "threshold": (task.learned,)}
    learned = {name: Setting(f"{task.labels} labels", shared, SEEDS, clip=True, **more)}
    return learned | {
        f"{name}_{control}": Setting(title, merge(shared, config), SEEDS, control=True, **more)
        for control, (title, config) in CONTROLS.items()
    }


SETTINGS = {name: setting for task in TASKS for name, setting in _settings(task).items()}
FAMILIES = {
    name: Family(
        f"{task.title}: {task.labels} labels, {task.config['total_timesteps'] // 1000}k steps",
        tuple(_settings(name)),
        (Panel(task.measure.__name__, task.unit, asked=task.learned.least),),
        curve=None,  # the environment's own return says nothing about the goal
    )
    for name, task in TASKS.items()
}

_SHORT = {
    "total_timesteps": 2048,
    "query": {"rounds": 2, "warm_up_steps": 512},
    "agent": {"n_envs": 4, "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 4}},
    "evaluation": {"n_episodes": 2},
}
TESTING = shortened(SETTINGS, ("pendulum_spin",), _SHORT)
