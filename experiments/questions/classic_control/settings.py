"""Every setting of the classic-control experiment, as data."""

from __future__ import annotations

from collections.abc import Mapping

from experiments.harness.controls import (
    TRUE,
    TRUE_SCALED,
    UNTRAINED,
    Settings,
    constant,
    random_answers,
    untrained_policy,
)
from experiments.harness.settings import Bound, Family, Setting, shortened
from rlhf_gym import RLHFConfig
from rlhf_gym.config.mappings import merge
from rlhf_gym.plots import Panel

SEEDS = (0, 1, 2, 3, 4)
TASKS = {
    "pendulum": "Pendulum-v1",
    "acrobot": "Acrobot-v1",
    "mountain_car": "MountainCar-v0",
    "mountain_car_continuous": "MountainCarContinuous-v0",
}
AIMS = {"pendulum": -180, "acrobot": -100, "mountain_car": -110, "mountain_car_continuous": 90}
CONTROLS: Mapping[str, tuple[str, Settings]] = {
    "ppo_true_reward": ("PPO on the true reward", merge(TRUE, {"feedback": {"goal": None}})),
    "ppo_scaled": ("PPO on the true reward, scaled", merge(TRUE_SCALED, {"feedback": {"goal": None}})),
    "ppo_goal": ("PPO on the oracle's goal", TRUE),
    "random_answers": ("100 random answers", random_answers(100)),
    "untrained": ("untrained reward model", UNTRAINED),
    "untrained_policy": ("untrained policy", untrained_policy(4096)),
    "constant": ("constant reward −1", constant(-1.0)),
}


def _judged_by(task: str) -> str | None:
    goal: str | None = RLHFConfig.for_env(TASKS[task]).feedback.goal
    return goal


def _settings(task: str) -> dict[str, Setting]:
    aim = (Bound("true_return_mean", least=AIMS[task]),)
    shared = {"env_id": TASKS[task], "total_timesteps": 100_000}
    settings = {f"{task}_100": Setting("100 labels", merge(shared, {"labels": 100}), SEEDS, threshold=aim)}
    for name, (title, config) in CONTROLS.items():
        # The goals are of unit size, and where there is one the true reward pays the same until the goal is reached.
        if name != ("ppo_scaled" if _judged_by(task) else "ppo_goal"):
            settings[f"{task}_{name}"] = Setting(title, merge(shared, config), SEEDS, control=True, threshold=aim)
    return settings


def _title(task: str) -> str:
    horizon, goal = RLHFConfig.for_env(TASKS[task]).env.fixed_horizon, _judged_by(task)
    how = f"learned in a fixed horizon of {horizon} steps" if horizon else "as it is"
    return f"{TASKS[task]}, {how}" + (f"; the oracle judges {goal}" if goal else "")


SETTINGS = {name: setting for task in TASKS for name, setting in _settings(task).items()}
FAMILIES = {
    task: Family(
        _title(task),
        tuple(_settings(task)),
        (Panel("true_return_mean", "true return", asked=AIMS[task]),),
    )
    for task in TASKS
}

_SHORT = {
    "total_timesteps": 2048,
    "query": {"rounds": 2, "warm_up_steps": 512},
    "agent": {"n_envs": 4, "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 4}},
    "evaluation": {"n_episodes": 2},
}
TESTING = shortened(SETTINGS, ("pendulum_100", "mountain_car_100"), _SHORT)
