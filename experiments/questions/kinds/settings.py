"""Kinds of feedback as data, and the number of labels of each that the same teacher's time buys."""

from __future__ import annotations

from typing import Any

from experiments.harness.controls import TRUE, random_answers, untrained_policy
from experiments.harness.parts import Scale
from experiments.harness.settings import SHORT, Family, Setting, shortened
from experiments.questions.label_efficiency.settings import HALF_CHEETAH, HELD_BY_NETWORKS, Task
from rlhf_gym.config.mappings import merge
from rlhf_gym.kinds import find_kind
from rlhf_gym.registry import kind_shares

SEEDS = (0, 1, 2, 3, 4)
SECONDS = 200
LABELS = 50
RANKED = 4
KINDS = {
    "comparison": "comparison",
    "ranking": "ranking",
    "rating": "rating",
    "switch_off": "switch_off",
    "demonstration": "comparison=0.8,demonstration=0.2",
    "correction": "correction",
    "mixed": "comparison=0.4,ranking=0.2,rating=0.3,switch_off=0.1",
}
TITLES = {
    "comparison": "comparisons",
    "ranking": f"rankings of {RANKED}",
    "rating": "ratings on 5 levels",
    "switch_off": "switch-offs",
    "demonstration": "comparisons and a fifth demonstrations",
    "correction": "corrections",
    "mixed": "comparisons, rankings, ratings and switch-offs",
}
TASKS = {
    "hold_at_one": HELD_BY_NETWORKS,
    "pendulum": Task("Pendulum-v1", {"env_id": "Pendulum-v1", "total_timesteps": 100_000}),
    "half_cheetah": Task("HalfCheetah-v5", {**HALF_CHEETAH, "total_timesteps": 100_000}),
}
EXPERTS = "results/kinds/experts"


def labels_for(kind: str, seconds: float = SECONDS) -> int:
    """Count the labels of a kind that `seconds` of a teacher's time buy."""
    each = sum(share * find_kind(name).seconds(options_of(name)) for name, share in kind_shares(kind).items())
    return round(seconds / each)


def options_of(kind: str) -> int:
    """Get the number of options of a query of a kind."""
    options = find_kind(kind).options
    return RANKED if RANKED in options and not find_kind(kind).made else options[0]


def expert(task: str) -> str:
    """Get the path of the policy that demonstrates a task."""
    return f"{EXPERTS}/{task}.zip"


def scale(task: str) -> Scale:
    """Count PPO on the true reward, or the goal, as 1, and the untrained policy as 0."""
    return Scale((f"{task}_ppo",), f"{task}_untrained_policy", TASKS[task].measured)


def _asked(task: str, name: str, labels: int) -> dict[str, Any]:
    kind = KINDS[name]
    asked: dict[str, Any] = {"kind": kind, "labels": labels}
    if "ranking" in kind_shares(kind):
        asked["query"] = {"options": RANKED}
    if any(find_kind(one).made for one in kind_shares(kind)):
        asked["feedback"] = {"demonstrator": expert(task)}
    return asked


def _settings(task: str) -> dict[str, Setting]:
    where = TASKS[task]
    more: dict[str, Any] = {"measures": {where.measured: where.measure} if where.measure else {}, "scale": scale(task)}

    def setting(title: str, config: Any, *, control: bool = False) -> Setting:
        return Setting(title, merge(where.config, config), SEEDS, control=control, **more)

    found = {
        f"{task}_{name}": setting(f"{labels_for(kind)} {TITLES[name]}", _asked(task, name, labels_for(kind)))
        for name, kind in KINDS.items()
    }
    controls = {
        "random": ("50 random answers", random_answers(LABELS)),
        "ppo": ("PPO on the true reward, or on the goal", TRUE),
        "untrained_policy": ("untrained policy", untrained_policy(8192)),
    }
    return found | {f"{task}_{name}": setting(title, c, control=True) for name, (title, c) in controls.items()}


def _by_label(task: str) -> dict[str, Setting]:
    """Make settings with 50 labels of each kind of which `SECONDS` seconds don't buy 50."""
    others = {name: kind for name, kind in KINDS.items() if labels_for(kind) != LABELS}
    base = _settings(task)
    return {
        f"{task}_{name}_{LABELS}": Setting(
            f"{LABELS} {TITLES[name]}",
            merge(TASKS[task].config, _asked(task, name, LABELS)),
            SEEDS,
            measures=base[f"{task}_ppo"].measures,
            scale=scale(task),
        )
        for name in others
    }


SETTINGS = {name: setting for task in TASKS for name, setting in _settings(task).items()} | _by_label("hold_at_one")
FAMILIES = {
    task: Family(f"{where.title}, {SECONDS} seconds", tuple(_settings(task)), (), figure=False)
    for task, where in TASKS.items()
} | {
    "by_label": Family(
        f"CartPole-v1 at x = +1, {LABELS} labels",
        ("hold_at_one_comparison", "hold_at_one_switch_off", *_by_label("hold_at_one"), "hold_at_one_ppo"),
        (),
        figure=False,
    )
}
TESTING = shortened(SETTINGS, ("pendulum_rating", "pendulum_mixed"), SHORT)
