"""Methods as data, each with the same labels; adding one is one line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from experiments.harness.controls import TRUE, Settings, cloned_alone, random_answers, untrained_policy
from experiments.harness.parts import Scale
from experiments.harness.settings import SHORT, Family, Setting, shortened
from experiments.questions.direct.regret import advantage, regret
from experiments.questions.kinds.settings import TASKS
from experiments.questions.pretrained.settings import demonstrations
from rlhf_gym.config.mappings import merge

SEEDS = (0, 1, 2)
LABELS = (50, 500, 5000)
AT_RANDOM = 500
METHODS: Mapping[str, tuple[str, Settings]] = {
    "reward": ("a reward model and PPO", {}),
    "kl": ("the same close to cloned demonstrations", {"agent": {"reference": "start", "kl": 0.1}}),
    "cpl": ("CPL", {"method": "cpl"}),
    "cpl_unbiased": ("CPL without its regulariser", {"method": "cpl", "method_options": {"bias": 1.0}}),
    "dpo": ("DPO", {"method": "dpo"}),
    "clone": ("cloning all segments", {"method": "cpl", "method_options": {"steps": 0}}),
}
"""By name: the title, and the settings laid over the task's."""
DIRECT = tuple(name for name in METHODS if name not in ("reward", "kl"))
"""Methods without a reward model."""
LONG: Settings = {"method_options": {"steps": 2000}}
"""Five times the gradient steps per fit, which pay off for answers that a policy can explain."""
REGRET = "pendulum"
ABOUT_REGRET = (
    *(("reward", labels) for labels in (50, 500)),
    ("cpl", 5000),
    *((method, labels) for method in ("cpl_unbiased", "dpo") for labels in LABELS),
)
"""Methods run with a teacher that compares regrets, and their numbers of answers."""
ABOUT_RETURN = (("cpl_unbiased", 5000), ("dpo", 5000))
"""Methods run with as many gradient steps on answers about the return, and their numbers of answers."""


def scale(task: str) -> Scale:
    """Count PPO on the true reward, or the goal, as 1, and the untrained policy as 0."""
    return Scale((f"{task}_ppo",), f"{task}_untrained_policy", TASKS[task].measured)


def _settings(task: str) -> dict[str, Setting]:
    where = TASKS[task]
    more: dict[str, Any] = {"measures": {where.measured: where.measure} if where.measure else {}, "scale": scale(task)}

    def setting(title: str, config: Settings, *, control: bool = False) -> Setting:
        return Setting(title, merge(where.config, config), SEEDS, control=control, **more)

    start = {"agent": {"start": demonstrations(task)}}
    methods = {
        name: (title, merge(start, config) if name == "kl" else config) for name, (title, config) in METHODS.items()
    }
    found = {
        f"{task}_{name}_{labels}": setting(f"{labels} labels, {title}", {"labels": labels, **config})
        for labels in LABELS
        for name, (title, config) in methods.items()
    }
    controls: dict[str, tuple[str, Settings]] = {
        f"{name}_random": (f"{AT_RANDOM} random answers, {title}", {**random_answers(AT_RANDOM), **config})
        for name, (title, config) in methods.items()
        if name != "clone"  # which uses no answers
    }
    controls["demonstrations"] = ("cloning the demonstrations alone", merge(cloned_alone(), start))
    controls["ppo"] = ("PPO on the true reward, or on the goal", TRUE)
    controls["untrained_policy"] = ("untrained policy", untrained_policy(8192))
    return found | {f"{task}_{name}": setting(title, c, control=True) for name, (title, c) in controls.items()}


def _of_regret() -> dict[str, Setting]:
    """Make one task's settings with answers about regret, as contrastive preference learning assumes, or the return."""
    more: dict[str, Any] = {"measures": {"regret": regret}, "scale": scale(REGRET)}
    goal = {"feedback": {"goal": f"{advantage.__module__}:{advantage.__name__}"}}

    def setting(method: str, labels: int, about: str, config: Settings) -> Setting:
        title, by = METHODS[method]
        parts = ({"labels": labels}, by, LONG if by else {}, config)
        whole: Settings = reduce(merge, parts, TASKS[REGRET].config)
        return Setting(f"{labels} answers about {about}, {title}", whole, SEEDS, **more)

    return {
        f"{REGRET}_{method}_regret_{labels}": setting(method, labels, "regret", goal) for method, labels in ABOUT_REGRET
    } | {
        f"{REGRET}_{method}_return_{labels}": setting(method, labels, "the return", {})
        for method, labels in ABOUT_RETURN
    }


SETTINGS = {name: setting for task in TASKS for name, setting in _settings(task).items()} | _of_regret()
FAMILIES = {
    task: Family(f"{where.title}, by method and labels", tuple(_settings(task)), (), figure=False)
    for task, where in TASKS.items()
} | {
    "regret": Family(
        f"{TASKS[REGRET].title}, answers about regret, {LONG['method_options']['steps']:,} gradient steps a fit",
        tuple(_of_regret()),
        (),
        figure=False,
    )
}
TESTING = shortened(SETTINGS, ("pendulum_cpl_50", "hold_at_one_dpo_50"), SHORT)
