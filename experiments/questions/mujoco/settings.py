"""Every setting of the MuJoCo experiment, as data: the presets, with 50 or 100 labels or a control's reward."""

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
from experiments.harness.settings import Family, Setting, shortened
from rlhf_gym.config.mappings import merge
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
FIXED = ("hopper",)
BUDGETS = {task: (50, 100) for task in TASKS} | {
    "half_cheetah": (50, 100, 700),
    "ant": (50, 100, 400, 1400),  # the last two to find out how many it takes
    "reacher": (50, 100, 400, 1400),
}
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


def _fixed(task: str) -> dict[str, Setting]:
    """Make the setting that learns in a fixed horizon, where falling ends nothing."""
    shared = {"env_id": TASKS[task], "total_timesteps": STEPS, "env": {"fixed_horizon": 1000}}
    learned = {f"{task}_fixed_100": Setting("100 labels", merge(shared, {"labels": 100}), SEEDS)}
    return learned | {
        f"{task}_fixed_{name}": Setting(title, merge(shared, config), SEEDS, control=True)
        for name, (title, config) in CONTROLS.items()
        if name in ("ppo_true_reward", "random_answers", "constant")
    }


def _family(title: str, settings: Mapping[str, Setting]) -> Family:
    return Family(title, tuple(settings), (Panel("true_return_mean", "true return"),))


SETTINGS = {name: setting for task in TASKS for name, setting in _settings(task).items()} | {
    name: setting for task in FIXED for name, setting in _fixed(task).items()
}
FAMILIES = {task: _family(f"{env_id}, as it is", _settings(task)) for task, env_id in TASKS.items()} | {
    f"{task}_fixed": _family(f"{TASKS[task]}, learned in a fixed horizon of 1,000 steps", _fixed(task))
    for task in FIXED
}

_SHORT = {
    "total_timesteps": 2048,
    "query": {"rounds": 2, "warm_up_steps": 256},
    "agent": {"n_envs": 4, "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 4}},
    "evaluation": {"n_episodes": 2},
}
TESTING = shortened(SETTINGS, ("half_cheetah_50", "half_cheetah_ppo_true_reward"), _SHORT)
