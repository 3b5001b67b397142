"""Every setting of the classic-control experiment, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.settings import Bound, Family, Setting, shortened
from rlhf_gym.mappings import merge
from rlhf_gym.plots import Panel

SEEDS = (0, 1, 2, 3, 4)
TASKS = {
    "pendulum": ("Pendulum-v1", {}),
    "acrobot": ("Acrobot-v1", {"feedback": {"goal": "acrobot_height"}}),
    "mountain_car": ("MountainCar-v0", {"feedback": {"goal": "mountain_car_progress"}}),
    "mountain_car_continuous": ("MountainCarContinuous-v0", {"feedback": {"goal": "mountain_car_progress"}}),
}
AIMS = {"pendulum": -180, "acrobot": -100, "mountain_car": -110, "mountain_car_continuous": 90}
FLOOR = {  # learning rate 0 leaves the policy as it was born
    "labels": 0,
    "reward": {"source": "constant"},
    "agent": {"learning_rate": 0.0, "n_epochs": 1},
    "total_timesteps": 4096,
}
CONTROLS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ppo_true_reward": ("PPO on the true reward", {"labels": 0, "reward": {"source": "true"}, "feedback": {}}),
    "ppo_goal": ("PPO on the oracle's goal", {"labels": 0, "reward": {"source": "true"}}),
    "random_answers": ("100 random answers", {"labels": 100, "teacher": "random"}),
    "untrained": ("untrained reward model", {"labels": 0, "reward": {"source": "untrained"}}),
    "untrained_policy": ("untrained policy", FLOOR),
    "constant": ("constant reward −1", {"labels": 0, "reward": {"source": "constant", "constant": -1.0}}),
}


def _settings(task: str) -> dict[str, Setting]:
    env_id, goal = TASKS[task]
    aim = (Bound("true_return_mean", least=AIMS[task]),)
    shared = {"env_id": env_id, "total_timesteps": 100_000}
    settings = {
        f"{task}_100": Setting("100 labels", {**shared, **goal, "labels": 100}, SEEDS, threshold=aim),
    }
    for name, (title, config) in CONTROLS.items():
        if name == "ppo_goal" and not goal:
            continue
        judged = goal if name != "ppo_true_reward" else {}
        settings[f"{task}_{name}"] = Setting(
            title, merge({**shared, **judged}, config), SEEDS, control=True, threshold=aim
        )
    return settings


SETTINGS = {name: setting for task in TASKS for name, setting in _settings(task).items()}
FAMILIES = {
    task: Family(
        f"{env_id}, as it is" + (f"; the oracle judges {goal['feedback']['goal']}" if goal else ""),
        tuple(_settings(task)),
        (Panel("true_return_mean", "true return, 20 episodes", asked=AIMS[task]),),
    )
    for task, (env_id, goal) in TASKS.items()
}

_SHORT = {
    "total_timesteps": 2048,
    "query": {"rounds": 2, "first_steps": 512},
    "agent": {"n_envs": 4, "n_steps": 64, "batch_size": 64, "n_epochs": 4},
    "evaluation": {"n_episodes": 2},
}
TESTING = shortened(SETTINGS, ("pendulum_100", "mountain_car_100"), _SHORT)
