"""Cloned starts and reference policies, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.harness.controls import TRUE, Settings, cloned_alone, random_answers, untrained_policy
from experiments.harness.parts import Scale
from experiments.harness.settings import SHORT, Family, Setting, shortened
from experiments.questions.label_efficiency.settings import HALF_CHEETAH, HELD_BY_NETWORKS, Task
from rlhf_gym.config.mappings import merge

SEEDS = (0, 1, 2)
LABELS = 50
TASKS = {
    "hold_at_one": HELD_BY_NETWORKS,
    "half_cheetah": Task("HalfCheetah-v5", {**HALF_CHEETAH, "total_timesteps": 100_000}),
}
DEMONSTRATIONS = "results/pretrained/demonstrations"
STILL = 8192  # steps of a policy that doesn't learn


def demonstrations(task: str) -> str:
    """Get the path of a task's demonstrations by the mediocre policy."""
    return f"{DEMONSTRATIONS}/{task}.safetensors"


VARIANTS: Mapping[str, tuple[str, Mapping[str, Any] | None]] = {
    "scratch": ("50 labels from scratch", None),
    "start": ("a cloned start", {}),
    "kl": ("a cloned start that it stays close to at 0.1 a nat", {"reference": "start", "kl": 0.1}),
    "kl_target": ("a cloned start with a target of 0.1 nats a step", {"reference": "start", "kl_target": 0.1}),
    "clone": ("cloning alone", {}),
}
"""By name: the title, and agent settings besides a cloned start; None has no start."""


def scale(task: str) -> Scale:
    """Count PPO on the true reward, or the goal, as 1, and the untrained policy as 0."""
    return Scale((f"{task}_ppo",), f"{task}_untrained_policy", TASKS[task].measured)


def _settings(task: str) -> dict[str, Setting]:
    where = TASKS[task]
    more: dict[str, Any] = {"measures": {where.measured: where.measure} if where.measure else {}, "scale": scale(task)}
    start = {"agent": {"start": demonstrations(task)}}

    def setting(title: str, config: Settings, *, control: bool = False) -> Setting:
        return Setting(title, merge(where.config, config), SEEDS, control=control, **more)

    def variant(name: str, agent: Mapping[str, Any] | None) -> Settings:
        base: Settings = cloned_alone() if name == "clone" else {"labels": LABELS}
        return base if agent is None else merge(merge(base, start), {"agent": agent})

    found = {f"{task}_{name}": setting(title, variant(name, agent)) for name, (title, agent) in VARIANTS.items()}
    close = VARIANTS["kl"][1] or {}
    controls: dict[str, tuple[str, Settings]] = {
        "random": (
            "50 random answers, close to the start",
            merge(merge(random_answers(LABELS), start), {"agent": close}),
        ),
        "ppo": ("PPO on the true reward, or on the goal", TRUE),
        "ppo_start": ("the same from a cloned start", merge(TRUE, start)),
        "untrained_policy": ("untrained policy", untrained_policy(STILL)),
    }
    return found | {f"{task}_{name}": setting(title, c, control=True) for name, (title, c) in controls.items()}


SETTINGS = {name: setting for task in TASKS for name, setting in _settings(task).items()}
FAMILIES = {
    task: Family(f"{where.title}, {LABELS} labels", tuple(_settings(task)), (), figure=False)
    for task, where in TASKS.items()
}
TESTING = shortened(SETTINGS, ("hold_at_one_kl", "hold_at_one_clone"), SHORT)
