"""Ablations as data: each setting differs from its task's preset in one thing; adding one is one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.harness.controls import TRUE, Settings, untrained_policy
from experiments.harness.parts import RETURN, Scale
from experiments.harness.settings import SHORT, Family, Measure, Setting, shortened
from experiments.questions.cartpole.goals import goal_return as held
from experiments.questions.cartpole.settings import HOLD_AT_ONE, HOLD_AT_ONE_SHAPED
from experiments.questions.mujoco.settings import EPISODES
from experiments.questions.novel_goals.measures import metres_on_back_leg, pendulum_turns
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import merge
from rlhf_gym.config.named import without_foreign_options

SEEDS = (0, 1, 2, 3, 4)
LABELS = 50
GOAL = "goal_reached"


@dataclass(frozen=True)
class Task:
    """A task of the ablations.

    Args:
        title: Its name in tables.
        config: Settings laid over its preset.
        measure: How far the goal is reached; None if the true return is the measure.
    """

    title: str
    config: Settings
    measure: Measure | None = None

    @property
    def measured(self) -> str:
        """The column of its measure."""
        return GOAL if self.measure else RETURN


HALF_CHEETAH: Settings = {"env_id": "HalfCheetah-v5", "query": {"schedule": "christiano"}}
"""Asks ever more rarely, as when other questions began to compare on it; its preset asks early."""
TASKS = {
    "half_cheetah": Task("HalfCheetah-v5", {**HALF_CHEETAH, "total_timesteps": 300_000}),
    "ant": Task("Ant-v5", {"env_id": "Ant-v5", "total_timesteps": 300_000}),
    "reacher": Task("Reacher-v5", {"env_id": "Reacher-v5", "total_timesteps": 300_000, **EPISODES["reacher"]}),
    "hold_at_one": Task("CartPole-v1 at x = +1", HOLD_AT_ONE_SHAPED, held),
    "one_leg": Task(
        "HalfCheetah-v5 on the back leg",
        {"env_id": "HalfCheetah-v5", "total_timesteps": 300_000, "feedback": {"goal": "half_cheetah_one_leg"}},
        metres_on_back_leg,
    ),
    "spin": Task(
        "Pendulum-v1, spinning",
        {
            "env_id": "Pendulum-v1",
            "total_timesteps": 100_000,
            "feedback": {"goal": "pendulum_spin"},
            "agent": {"gamma": 0.97},
        },
        pendulum_turns,
    ),
}
"""Three tasks whose reward is a quadratic of observation and action, and three goals that aren't."""
HELD_BY_NETWORKS = Task("CartPole-v1 at x = +1", HOLD_AT_ONE, held)
"""The same task as other questions have it: with networks alone and the preset's PPO."""
HELD_NOTE = """\
The cart's reward is learned by networks alone here, and PPO has the preset's settings (gamma 0.98). With the settings
of [cartpole](../cartpole/README.md) the cart is held better: 50 labels reach 0.81 of PPO's gain there. A constant
reward of +1, without any answer, reaches 0.18 [0.16, 0.22] there, by balancing: what reaches no more than that shows
nothing learned about the place."""

PRESET: Mapping[str, tuple[str, Settings]] = {"preset": ("the preset", {})}
ENDS: Mapping[str, tuple[str, Settings]] = {
    "ppo": ("PPO on the true reward, or on the goal", TRUE),
    "untrained_policy": ("untrained policy", untrained_policy(8192)),
}
AS_IT_WAS: Settings = {
    "linear": None, "clip": None, "adam_epsilon": 1e-8, "bootstrap": "poisson", "calibrate": False, "shift": "auto",
}  # fmt: skip
PARTS: Mapping[str, tuple[str, Mapping[str, tuple[str, Settings]]]] = {
    "reward_member": (
        "The reward model",
        {
            "networks_as_they_were": ("networks alone, as they were", {"reward": AS_IT_WAS}),
            "networks": ("networks alone", {"reward": {"linear": None}}),
            "linear": ("linear features alone", {"reward": {"linear": "linear", "ensemble_size": 0}}),
            "quadratic": ("quadratic features alone", {"reward": {"linear": "quadratic", "ensemble_size": 0}}),
            "quadratic_networks": ("quadratic features and networks", {"reward": {"linear": "quadratic"}}),
            "absolute": ("magnitudes as well, and networks", {"reward": {"linear": "absolute"}}),
            "linear_networks": ("linear features and networks", {"reward": {"linear": "linear"}}),
            "uncalibrated": ("parts added up as they are", {"reward": {"calibrate": False}}),
        },
    ),
    "living": (
        "The worth of living",
        {
            "as_it_comes": ("as the fit leaves it", {"reward": {"shift": "auto"}}),
            "terminated": ("a fifth of the queries with a termination", {"query": {"terminated": 0.2}}),
        },
    ),
    "inputs": (
        "What the reward sees",
        {
            "unclipped": ("inputs as large as they are", {"reward": {"clip": None}}),
            "observation": ("observations alone", {"reward": {"inputs": "observation"}}),
        },
    ),
    "smoothing": (
        "What an answer is taken for",
        {
            "label_noise": ("a tenth of answers taken to be random", {"reward": {"label_noise": 0.1}}),
            "label_smoothing": ("labels smoothed by 0.05", {"reward": {"label_smoothing": 0.05}}),
        },
    ),
    "pessimism": (
        "What is paid",
        {
            "pessimism_half": ("half a deviation less", {"reward": {"pessimism": 0.5}}),
            "pessimism_one": ("one deviation less", {"reward": {"pessimism": 1.0}}),
        },
    ),
    "shown": (
        "The steps shown",
        {
            "noise": ("a twentieth without noise and with twice as much", {"query": {"shown": 0.05}}),
            "lately": ("the latest 4,096 steps", {"query": {"memory_steps": 4096}}),
        },
    ),
    "schemes": (
        "Which queries are asked",
        {
            "uniform": ("uniform", {"query": {"scheme": "uniform"}}),
            "entropy": ("entropy", {"query": {"scheme": "entropy"}}),
            "coverage": ("coverage", {"query": {"scheme": "coverage"}}),
            "disagreement_coverage": ("disagreement, then coverage", {"query": {"scheme": "disagreement_coverage"}}),
            "mutual_information": (
                "mutual information, 100 candidates",
                {"query": {"scheme": "mutual_information", "candidates_per_query": 100}},
            ),
            "value_disagreement": ("value disagreement", {"query": {"scheme": "value_disagreement"}}),
            "outside_coverage": ("half outside coverage", {"query": {"scheme": "outside_coverage"}}),
            "insertion": ("insertion into ordered lists", {"query": {"scheme": "insertion"}}),
        },
    ),
    "schedules": (
        "When they are asked",
        {
            "evenly": ("evenly", {"query": {"schedule": "constant"}}),
            "christiano": ("ever more rarely", {"query": {"schedule": "christiano"}}),
            "front_loaded": ("all in the first half", {"query": {"schedule": "front_loaded"}}),
        },
    ),
    "critic": (
        "The critic after a new reward",
        {
            "rescaled": ("rescaled", {"agent": {"critic_after_fit": "rescale"}}),
            "reset": ("reset", {"agent": {"critic_after_fit": "reset"}}),
            "warm_up": ("warmed up", {"agent": {"critic_after_fit": "warm_up"}}),
            "restarted": ("statistics of the return restarted", {"agent": {"return_statistics": "restart"}}),
        },
    ),
}
"""By part of the method: its heading, and each variant's title and what it lays over the preset."""


def scale(task: str) -> Scale:
    """Count PPO on the true reward, or the goal, as 1, and the untrained policy as 0, by the task's measure."""
    return Scale((f"{task}_ppo",), f"{task}_untrained_policy", TASKS[task].measured)


def _over(shared: Settings, config: Settings) -> dict[str, Any]:
    """Lay a variant over its task's settings; options of replaced components are dropped."""
    return merge(without_foreign_options(shared, config), config)


def _settings(task: str, variants: Mapping[str, tuple[str, Settings]], *, control: bool = False) -> dict[str, Setting]:
    where = TASKS[task]
    shared = merge(where.config, {"labels": LABELS})
    more: dict[str, Any] = {"measures": {GOAL: where.measure} if where.measure else {}, "control": control}
    made = {
        name: Setting(f"{where.title}: {title}", _over(shared, config), SEEDS, scale=scale(task), **more)
        for name, (title, config) in variants.items()
    }
    preset = RLHFConfig.for_env(**shared)
    return {
        f"{task}_{name}": setting
        for name, setting in made.items()
        if name in PRESET or RLHFConfig.for_env(**setting.config) != preset  # the preset itself is no variant
    }


VARIANTS = {name: variant for _, variants in PARTS.values() for name, variant in variants.items()}
SETTINGS = (
    {name: setting for task in TASKS for name, setting in _settings(task, PRESET).items()}
    | {name: setting for task in TASKS for name, setting in _settings(task, ENDS, control=True).items()}
    | {name: setting for task in TASKS for name, setting in _settings(task, VARIANTS).items()}
)


def _family(title: str, variants: Sequence[str]) -> Family:
    # Their returns have no unit in common, so that there is a table of parts, and no figure.
    names = (f"{task}_{name}" for task in TASKS for name in variants)
    return Family(title, tuple(name for name in names if name in SETTINGS), (), figure=False)


FAMILIES = {"preset": _family("The preset, and the ends of the scale", [*PRESET, *ENDS])} | {
    part: _family(title, list(variants)) for part, (title, variants) in PARTS.items()
}

TESTING = shortened(SETTINGS, ("spin_preset", "spin_uniform"), SHORT)
