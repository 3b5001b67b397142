"""Every setting of the ablation of what a fit uses besides the answers, as data; adding an option is one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.harness.controls import TRUE, Settings, untrained_policy
from experiments.harness.parts import Scale
from experiments.harness.settings import SHORT, Family, Setting, shortened
from experiments.questions.label_efficiency.settings import GOAL, HELD_BY_NETWORKS, LABELS
from experiments.questions.label_efficiency.settings import TASKS as ALL_TASKS
from rlhf_gym.config.mappings import merge

SEEDS = (0, 1, 2)
TASKS = {"hold_at_one": HELD_BY_NETWORKS, "half_cheetah": ALL_TASKS["half_cheetah"]}
NETWORKS: Settings = {"labels": LABELS, "reward": {"linear": None}}
"""Networks alone, which have to find features themselves; the cart's preset has no linear part anyway."""


def _more(**options: Mapping[str, Any]) -> Settings:
    return {"reward": {"more": options}}


ALL: Settings = merge(
    _more(crops={}, pseudo_labels={}, self_supervised={}, disagreement_bonus={}), {"reward": {"label_smoothing": 0.1}}
)
OPTIONS: Mapping[str, tuple[str, Settings]] = {
    "plain": ("networks alone", {}),
    "smoothing": ("labels smoothed by 0.1", {"reward": {"label_smoothing": 0.1}}),
    "crops": ("crops", _more(crops={})),
    "pseudo_labels": ("pseudo-labels", _more(pseudo_labels={})),
    "self_supervised": ("self-supervised features", _more(self_supervised={})),
    "disagreement_bonus": ("a bonus for disagreement", _more(disagreement_bonus={})),
    "all": ("all of them", ALL),
}
"""By name: title, and what is laid over networks alone."""
ENDS: Mapping[str, tuple[str, Settings]] = {
    "ppo": ("PPO on the true reward, or on the goal", TRUE),
    "untrained_policy": ("untrained policy", untrained_policy(8192)),
}


def scale(task: str) -> Scale:
    """Count PPO on the true reward, or the goal, as 1, and the untrained policy as 0, by the task's measure."""
    return Scale((f"{task}_ppo",), f"{task}_untrained_policy", TASKS[task].measured)


def _setting(task: str, title: str, config: Settings, *, control: bool) -> Setting:
    where = TASKS[task]
    measures = {GOAL: where.measure} if where.measure else {}
    laid = merge(where.config, config)
    return Setting(f"{where.title}: {title}", laid, SEEDS, control=control, measures=measures, scale=scale(task))


SETTINGS = {
    f"{task}_{name}": _setting(task, title, merge(NETWORKS, config), control=False)
    for task in TASKS
    for name, (title, config) in OPTIONS.items()
} | {
    f"{task}_{name}": _setting(task, title, config, control=True)
    for task in TASKS
    for name, (title, config) in ENDS.items()
}
FAMILIES = {
    task: Family(where.title, tuple(f"{task}_{name}" for name in [*OPTIONS, *ENDS]), (), figure=False)
    for task, where in TASKS.items()
}
TESTING = shortened(SETTINGS, ("hold_at_one_plain", "hold_at_one_all"), SHORT)
