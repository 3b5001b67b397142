"""Answers with mistakes, as data: the share of mistakes, and whether the likelihood accounts for them."""

from __future__ import annotations

from typing import Any

from experiments.harness.controls import TRUE, untrained_policy
from experiments.harness.parts import Scale
from experiments.harness.settings import SHORT, Family, Setting, shortened
from experiments.questions.label_efficiency.settings import HELD_BY_NETWORKS
from experiments.questions.label_efficiency.settings import TASKS as ALL_TASKS
from rlhf_gym.config.mappings import merge

SEEDS = (0, 1, 2, 3, 4)
LABELS = 100
MISTAKES = (0.0, 0.1, 0.2, 0.3)
TASKS = {"hold_at_one": HELD_BY_NETWORKS, "half_cheetah": ALL_TASKS["half_cheetah"]}
TITLES = {"unaware": "the likelihood as it is", "aware": "the likelihood told of it"}


def name_of(task: str, mistakes: float, how: str) -> str:
    """Name a setting."""
    return f"{task}_{how}_{round(100 * mistakes)}"


def scale(task: str) -> Scale:
    """Count PPO on the true reward, or the goal, as 1, and the untrained policy as 0."""
    return Scale((f"{task}_ppo",), f"{task}_untrained_policy", TASKS[task].measured)


def _settings(task: str) -> dict[str, Setting]:
    where = TASKS[task]
    more: dict[str, Any] = {
        "measures": {where.measured: where.measure} if where.measure else {},
        "scale": scale(task),
    }
    settings = {}
    for mistakes in MISTAKES:
        for how, title in TITLES.items():
            if mistakes or how == "unaware":  # without mistakes there is nothing to account for
                flawed = {"teacher": "noisy", "teacher_options": {"eps_mistake": mistakes}, "labels": LABELS}
                # Flipping a share e of answers equals drawing a share 2 e by a coin, which is the likelihood's model.
                told = {"reward": {"label_noise": 2 * mistakes if how == "aware" else 0.0}}
                settings[name_of(task, mistakes, how)] = Setting(
                    f"{mistakes:.0%} mistakes" + f", {title}" * bool(mistakes),
                    merge(where.config, merge(flawed, told)),
                    SEEDS,
                    **more,
                )
    controls = {
        "ppo": ("PPO on the true reward, or on the goal", TRUE),
        "untrained_policy": ("untrained policy", untrained_policy(8192)),
    }
    for name, (title, config) in controls.items():
        settings[f"{task}_{name}"] = Setting(title, merge(where.config, config), SEEDS, control=True, **more)
    return settings


SETTINGS = {name: setting for task in TASKS for name, setting in _settings(task).items()}
FAMILIES = {task: Family(TASKS[task].title, tuple(_settings(task)), (), figure=False) for task in TASKS}
TESTING = shortened(SETTINGS, ("hold_at_one_unaware_30", "hold_at_one_aware_30"), SHORT)
