"""Every setting of the MuJoCo experiment, as data: the presets, with 50 or 20 labels or a control's reward.

They are listed in the order to run them: 50 labels on all tasks, then the controls, 20 labels and 1M steps.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from experiments.harness.settings import SHORT, Family, Setting, shortened
from rlhf_gym.config.mappings import merge
from rlhf_gym.plots import Panel

SEEDS, SEEDS_1M = tuple(range(10)), tuple(range(5))
STEPS, STEPS_1M = 300_000, 1_000_000
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
EPISODES: Settings = {"reacher": {"evaluation": {"n_episodes": 100}}}
"""Tasks where 20 episodes are too few: a policy that hesitates over a target right behind the arm loses 10 in one."""
LEARNED: Mapping[str, tuple[str, Settings]] = {"50": ("50 labels", {"labels": 50}), "20": ("20 labels", {"labels": 20})}
CONTROLS: Mapping[str, tuple[str, Settings]] = {
    "ppo_true_reward": ("PPO on the true reward", TRUE),
    "untrained_policy": ("untrained policy", untrained_policy(8192)),
    "ppo_scaled": ("PPO on the true reward, scaled", TRUE_SCALED),
    "constant": ("constant reward +1", constant(1.0)),
    "random_answers": ("50 random answers", random_answers(50)),
    "untrained": ("untrained reward model", UNTRAINED),
}
LONG: Mapping[str, tuple[str, Settings]] = {
    "50_1m": ("50 labels, 1M steps", {"labels": 50}),
    "ppo_true_reward_1m": ("PPO on the true reward, 1M steps", TRUE),
}

NEVER_ASKED: Mapping[str, Settings] = {
    "walker2d_ppo_true_reward_1m": {
        "query": {"rounds": 20, "schedule": "christiano", "schedule_options": {}},
    }
}
"""On the true reward, what the preset says about asking in longer runs changes only how often figures are written."""


def scale(task: str, *, long: bool = False) -> Scale:
    """Count the better of the PPOs on the true reward as 1, and the untrained policy as 0."""
    best = ("ppo_true_reward_1m",) if long else ("ppo_true_reward", "ppo_scaled")
    return Scale(tuple(f"{task}_{name}" for name in best), f"{task}_untrained_policy")


def _setting(task: str, name: str, title: str, config: Settings) -> Setting:
    long = name in LONG
    shared = {"env_id": TASKS[task], "total_timesteps": STEPS_1M if long else STEPS, **EPISODES.get(task, {})}
    more: dict[str, Any] = {
        "control": name in CONTROLS or name == "ppo_true_reward_1m",
        "scale": scale(task, long=long),
    }
    settings = merge(merge(shared, config), NEVER_ASKED.get(f"{task}_{name}", {}))
    return Setting(title, settings, SEEDS_1M if long else SEEDS, **more)


SETTINGS = {
    f"{task}_{name}": _setting(task, name, title, config)
    for name, (title, config) in ({"50": LEARNED["50"], **CONTROLS, "20": LEARNED["20"], **LONG}).items()
    for task in TASKS
}


def _family(title: str, task: str, names: Mapping[str, Any]) -> Family:
    return Family(title, tuple(f"{task}_{name}" for name in names), (Panel("true_return_mean", "true return"),))


FAMILIES = {task: _family(f"{env_id}, 300k steps", task, {**LEARNED, **CONTROLS}) for task, env_id in TASKS.items()} | {
    f"{task}_1m": _family(f"{env_id}, 1M steps", task, LONG) for task, env_id in TASKS.items()
}

TESTING = shortened(SETTINGS, ("half_cheetah_50", "half_cheetah_ppo_true_reward"), SHORT)
