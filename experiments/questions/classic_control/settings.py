"""Every setting of the classic-control experiment, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from experiments.harness.controls import (
    TRUE,
    TRUE_SCALED,
    UNTRAINED,
    Settings,
    constant,
    random_answers,
    untrained_policy,
)
from experiments.harness.parts import Scale
from experiments.harness.settings import SHORT, Bound, Family, Setting, shortened
from rlhf_gym import RLHFConfig
from rlhf_gym.config.mappings import merge
from rlhf_gym.plots import Panel

SEEDS, TEN_SEEDS = tuple(range(5)), tuple(range(10))
TASKS = {
    "pendulum": "Pendulum-v1",
    "acrobot": "Acrobot-v1",
    "mountain_car": "MountainCar-v0",
    "mountain_car_continuous": "MountainCarContinuous-v0",
}
AIMS = {"pendulum": -180, "acrobot": -100, "mountain_car": -110, "mountain_car_continuous": 90}
FEW = {"pendulum": 30, "acrobot": 50, "mountain_car": 50, "mountain_car_continuous": 50}
TOP: Settings = {"feedback": {"goal": "mountain_car_top"}}
JUDGED: Mapping[str, Settings] = {"mountain_car": TOP, "mountain_car_continuous": TOP}
"""The oracle's goal where it isn't the preset's `mountain_car_progress`, which doesn't pay for arriving."""
ON_TRUE: Settings = {"feedback": {"goal": None}}
CONTROLS: Mapping[str, tuple[str, Settings]] = {
    "ppo_true_reward": ("PPO on the true reward", merge(TRUE, ON_TRUE)),
    "ppo_scaled": ("PPO on the true reward, scaled", merge(TRUE_SCALED, ON_TRUE)),
    "ppo_goal": ("PPO on the oracle's goal", TRUE),
    "untrained_policy": ("untrained policy", untrained_policy(4096)),
    "random_answers": ("100 random answers", random_answers(100)),
    "untrained": ("untrained reward model", UNTRAINED),
    "constant": ("constant reward −1", constant(-1.0)),
}
ENDS = ("ppo_true_reward", "ppo_scaled", "ppo_goal", "untrained_policy")


def scale(task: str) -> Scale:
    """Count the best of PPO on the true reward, scaled or not, and on the oracle's goal as 1; untrained as 0."""
    best = tuple(f"{task}_{name}" for name in ENDS[:-1] if f"{task}_{name}" in _settings(task))
    return Scale(best, f"{task}_untrained_policy")


@cache
def _judged_by(task: str) -> str | None:
    goal: str | None = RLHFConfig.for_env(TASKS[task], **JUDGED.get(task, {})).feedback.goal
    return goal


def _settings(task: str) -> dict[str, Setting]:
    shared = merge({"env_id": TASKS[task], "total_timesteps": 100_000}, JUDGED.get(task, {}))
    more: dict[str, Any] = {"threshold": (Bound("true_return_mean", least=AIMS[task]),)}
    settings = {
        f"{task}_{labels}": Setting(f"{labels} labels", merge(shared, {"labels": labels}), seeds, **more)
        for labels, seeds in ((FEW[task], TEN_SEEDS), (100, SEEDS))
    }
    for name, (title, config) in CONTROLS.items():
        # Tasks with a goal need no ppo_scaled: the goal is of unit size, and the true reward is constant until success.
        if name != ("ppo_scaled" if _judged_by(task) else "ppo_goal"):
            seeds = TEN_SEEDS if name in ENDS else SEEDS
            settings[f"{task}_{name}"] = Setting(title, merge(shared, config), seeds, control=True, **more)
    return settings


def _title(task: str) -> str:
    horizon, goal = RLHFConfig.for_env(TASKS[task]).env.fixed_horizon, _judged_by(task)
    how = f"learned in a fixed horizon of {horizon} steps" if horizon else "as it is"
    return f"{TASKS[task]}, {how}" + (f"; the oracle judges {goal}" if goal else "")


SETTINGS = {name: replace(setting, scale=scale(task)) for task in TASKS for name, setting in _settings(task).items()}
FAMILIES = {
    task: Family(
        _title(task),
        tuple(_settings(task)),
        (Panel("true_return_mean", "true return", asked=AIMS[task]),),
    )
    for task in TASKS
}

TESTING = shortened(SETTINGS, ("pendulum_100", "mountain_car_100"), merge(SHORT, {"query": {"warm_up_steps": 512}}))
