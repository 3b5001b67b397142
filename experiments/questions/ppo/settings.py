"""Candidates for PPO's settings on each task, as data: adding one is one line.

Settings that a candidate doesn't name are written out here and not taken from the presets, so that changing a preset
doesn't change the question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiments.harness.controls import TRUE, Settings, untrained_policy
from experiments.harness.parts import Scale
from experiments.harness.settings import Family, Setting, shortened
from rlhf_gym.config.mappings import merge
from rlhf_gym.plots import Panel

SEEDS, SEEDS_1M = (100, 101, 102), (100, 101)  # for tuning alone: results are of seeds 0 to 9
ON_POLICY: dict[str, Any] = {
    "n_steps": 256, "batch_size": 512, "n_epochs": 10, "learning_rate": 5e-4, "clip_range": 0.2, "gamma": 0.99,
    "gae_lambda": 0.95, "ent_coef": 0.0, "vf_coef": 0.5, "max_grad_norm": 0.5, "log_std_init": -1.0,
}  # fmt: skip


def _agent(n_envs: int, *, normalize: bool, schedule: str = "constant", **options: Any) -> dict[str, Any]:
    settings = {"n_envs": n_envs, "normalize_observations": normalize, "schedule": schedule, "normalize_rewards": False}
    return {**settings, "options": {**ON_POLICY, **options}}


MUJOCO = _agent(8, normalize=True)
SWIMMER: dict[str, Any] = _agent(
    4, normalize=True, n_steps=1024, batch_size=256, gamma=0.9999, gae_lambda=0.98, learning_rate=6e-4, log_std_init=0.0
)
CARTPOLE: dict[str, Any] = _agent(
    8, normalize=False, schedule="linear", n_steps=128, batch_size=128, gamma=0.98, gae_lambda=0.9, learning_rate=1e-3,
    ent_coef=0.01, log_std_init=0.0,
)  # fmt: skip
PENDULUM: dict[str, Any] = _agent(
    16, normalize=False, n_steps=128, batch_size=256, gamma=0.9, learning_rate=1e-3, log_std_init=0.0
)
SPARSE: dict[str, Any] = _agent(8, normalize=True, batch_size=128, learning_rate=1e-3, log_std_init=0.0)


@dataclass(frozen=True)
class Task:
    """A task that PPO is tuned on.

    Args:
        env_id: Gymnasium id.
        agent: Agent settings that candidates are laid over.
        steps: Environment steps.
        asked: True return asked for; None if none is.
        asked_1m: The same at 1M steps; None if it isn't run for as long.
    """

    env_id: str
    agent: Settings
    steps: int = 300_000
    asked: float | None = None
    asked_1m: float | None = None


TASKS = {
    "half_cheetah": Task("HalfCheetah-v5", MUJOCO, asked=4000, asked_1m=5700),
    "hopper": Task("Hopper-v5", MUJOCO, asked=1020, asked_1m=2500),
    "walker2d": Task("Walker2d-v5", MUJOCO, asked=1900, asked_1m=3400),
    "swimmer": Task("Swimmer-v5", SWIMMER, asked=250, asked_1m=300),
    "ant": Task("Ant-v5", MUJOCO, asked=1400, asked_1m=3000),
    "reacher": Task("Reacher-v5", MUJOCO, asked=-4.7, asked_1m=-4.2),
    "inverted_pendulum": Task("InvertedPendulum-v5", MUJOCO),
    "inverted_double_pendulum": Task("InvertedDoublePendulum-v5", MUJOCO),
    "cartpole": Task("CartPole-v1", CARTPOLE, 60_000),
    "pendulum": Task("Pendulum-v1", PENDULUM, 100_000),
    "acrobot": Task("Acrobot-v1", SPARSE, 100_000),
    "mountain_car": Task("MountainCar-v0", SPARSE, 100_000),
    "mountain_car_continuous": Task("MountainCarContinuous-v0", SPARSE, 100_000),
}
NORMALISED: Settings = {"normalize_rewards": True}
WIDE: dict[str, Any] = {**NORMALISED, "options": {"log_std_init": 0.0}}
FRESH = {"n_steps": 128, "batch_size": 256, "learning_rate": 4e-4}
CANDIDATES: Mapping[str, tuple[str, Settings]] = {
    "plain": ("as it was", {}),
    "normalised": ("rewards normalised", NORMALISED),
    "normalised_128": ("normalised, batches of 128", {**NORMALISED, "options": {"batch_size": 128}}),
    "normalised_linear": ("normalised, linear schedule", {**NORMALISED, "schedule": "linear"}),
    "wide": ("normalised, σ 1", WIDE),
    "fresh": (
        "normalised, σ 1, rollouts of 1,024",
        {**WIDE, "options": {**WIDE["options"], **FRESH}},
    ),
    "far": (
        "normalised, σ 1, rollouts of 1,024, γ 0.995",
        {**WIDE, "options": {**WIDE["options"], **FRESH, "gamma": 0.995}},
    ),
    "long": (
        "normalised, σ 1, rollouts of 1,024, λ 0.98",
        {**WIDE, "options": {**WIDE["options"], **FRESH, "gae_lambda": 0.98}},
    ),
    "fresh_narrow": ("normalised, rollouts of 1,024", {**NORMALISED, "options": FRESH}),
    "fresh_plain": ("rollouts of 1,024", {"options": FRESH}),
    "narrow": ("σ 0.14", {"options": {"log_std_init": -2.0}}),
    "narrow_128": (
        "σ 0.14, batches of 128",
        {"options": {"log_std_init": -2.0, "batch_size": 128}},
    ),
    "narrow_128_linear": (
        "σ 0.14, batches of 128, linear",
        {"options": {"log_std_init": -2.0, "batch_size": 128}, "schedule": "linear"},
    ),
    "near": ("γ 0.9", {"options": {"gamma": 0.9}}),
    "near_128": ("γ 0.9, batches of 128", {"options": {"gamma": 0.9, "batch_size": 128}}),
    "near_fresh": ("γ 0.9, rollouts of 1,024", {"options": {**FRESH, "gamma": 0.9}}),
}
UNTRAINED = "untrained_policy"


def agent_of(task: str, candidate: str) -> dict[str, Any]:
    """Lay a candidate over its task's agent settings."""
    return merge(TASKS[task].agent, CANDIDATES[candidate][1])


def _settings(task: str, *, long: bool) -> dict[str, Setting]:
    steps = 1_000_000 if long else TASKS[task].steps
    shared: Settings = {"env_id": TASKS[task].env_id, "total_timesteps": steps, "feedback": {"goal": None}}
    return {
        f"{task}_{name}{'_1m' * long}": Setting(
            title,
            merge(shared, {**TRUE, "agent": agent_of(task, name)}),
            SEEDS_1M if long else SEEDS,
            scale=Scale(names(task, long=long), f"{task}_{UNTRAINED}"),
        )
        for name, (title, _) in CANDIDATES.items()
    }


def names(task: str, *, long: bool = False) -> tuple[str, ...]:
    """List the settings that a task's best is chosen from."""
    return tuple(f"{task}_{name}{'_1m' * long}" for name in CANDIDATES)


def _untrained(task: str) -> Setting:
    shared = {"env_id": TASKS[task].env_id, "feedback": {"goal": None}, "agent": TASKS[task].agent}
    return Setting("untrained policy", merge(shared, untrained_policy(8192)), SEEDS, control=True)


LONG = tuple(name for name, task in TASKS.items() if task.asked_1m is not None)
SETTINGS = (
    {name: setting for task in TASKS for name, setting in _settings(task, long=False).items()}
    | {f"{task}_{UNTRAINED}": _untrained(task) for task in TASKS}
    | {name: setting for task in LONG for name, setting in _settings(task, long=True).items()}
)
PANELS = (Panel("true_return_mean", "true return"),)
FAMILIES = {
    name: Family(f"{task.env_id}, {task.steps // 1000}k steps", (*names(name), f"{name}_{UNTRAINED}"), PANELS)
    for name, task in TASKS.items()
} | {f"{name}_1m": Family(f"{TASKS[name].env_id}, 1M steps", names(name, long=True), PANELS) for name in LONG}

_SHORT = {
    "total_timesteps": 2048,
    "query": {"rounds": 2},
    "agent": {"n_envs": 4, "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 4}},
    "evaluation": {"n_episodes": 2},
}
TESTING = shortened(SETTINGS, ("cartpole_plain", "cartpole_normalised"), _SHORT)
