"""Every setting of the MuJoCo experiment, as data: the presets, with so many labels or a control's reward."""

from __future__ import annotations

from collections.abc import Mapping

from experiments.controls import TRUE, TRUE_SCALED, UNTRAINED, Settings, constant, random_answers, untrained_policy
from experiments.settings import Family, Setting, shortened
from rlhf_gym.mappings import merge
from rlhf_gym.plots import Panel

SEEDS = (0, 1, 2)
STEPS = 300_000
TASKS = {
    "half_cheetah": "HalfCheetah-v5",
    "hopper": "Hopper-v5",
    "walker2d": "Walker2d-v5",
    "swimmer": "Swimmer-v5",
    "ant": "Ant-v5",
    "reacher": "Reacher-v5",
    "inverted_pendulum": "InvertedPendulum-v5",
    "inverted_double_pendulum": "InvertedDoublePendulum-v5",
}
BUDGETS = {task: (50, 100) for task in TASKS} | {"half_cheetah": (50, 100, 700)}
CONTROLS: Mapping[str, tuple[str, Settings]] = {
    "ppo_true_reward": ("PPO on the true reward", TRUE),
    "ppo_scaled": ("PPO on the true reward, scaled", TRUE_SCALED),
    "random_answers": ("100 random answers", random_answers(100)),
    "untrained": ("untrained reward model", UNTRAINED),
    "untrained_policy": ("untrained policy", untrained_policy(8192)),
    "constant": ("constant reward +1", constant(1.0)),
}


def _settings(task: str) -> dict[str, Setting]:
    shared = {"env_id": TASKS[task], "total_timesteps": STEPS}
    return {
        f"{task}_{labels}": Setting(f"{labels} labels", merge(shared, {"labels": labels}), SEEDS)
        for labels in BUDGETS[task]
    } | {
        f"{task}_{name}": Setting(title, merge(shared, config), SEEDS, control=True)
        for name, (title, config) in CONTROLS.items()
    }


SETTINGS = {name: setting for task in TASKS for name, setting in _settings(task).items()}
FAMILIES = {
    task: Family(
        f"{env_id}, as it is",
        tuple(_settings(task)),
        (Panel("true_return_mean", "true return, 20 episodes"),),
    )
    for task, env_id in TASKS.items()
}

_SHORT = {
    "total_timesteps": 2048,
    "query": {"rounds": 2, "first_steps": 256},
    "agent": {"n_envs": 4, "n_steps": 64, "batch_size": 64, "n_epochs": 4},
    "evaluation": {"n_episodes": 2},
}
TESTING = shortened(SETTINGS, ("half_cheetah_50", "half_cheetah_ppo_true_reward"), _SHORT)
