"""Ratings of whole episodes on Reacher as data, beside as many comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.harness.controls import TRUE, Settings, random_answers, untrained_policy
from experiments.harness.parts import Scale
from experiments.harness.settings import SHORT, Family, Setting, shortened
from rlhf_gym.config.mappings import merge

SEEDS = (0, 1, 2)
LABELS = 100
EPISODE = 50
TASK: dict[str, Any] = {"env_id": "Reacher-v5", "total_timesteps": 300_000}
WHOLE: dict[str, Any] = {"labels": LABELS, "segment_length": EPISODE}
SMALL: dict[str, Any] = {"linear": None, "network_options": {"hidden": [10, 10]}}
"""Small networks alone, as in R4."""
KINDS = {"rating": "ratings on 5 levels", "comparison": "comparisons"}
SCALE = Scale(("ppo",), "untrained_policy", "true_return_mean")


def _taught(kind: str, reward: dict[str, Any] | None = None) -> dict[str, Any]:
    return merge(WHOLE, {"kind": kind, "reward": reward or {}})


ASKED_OF: Mapping[str, tuple[str, Settings]] = {
    **{kind: (f"{LABELS} {title} of whole episodes", _taught(kind)) for kind, title in KINDS.items()},
    **{
        f"{kind}_networks": (f"{LABELS} {title} of whole episodes, networks alone", _taught(kind, SMALL))
        for kind, title in KINDS.items()
    },
    "short": (f"{LABELS} comparisons of 10 steps", {"labels": LABELS}),
}
CONTROLS: Mapping[str, tuple[str, Settings]] = {
    "random": (f"{LABELS} random answers", random_answers(LABELS)),
    "ppo": ("PPO on the true reward", TRUE),
    "untrained_policy": ("untrained policy", untrained_policy(8192)),
}


def _setting(title: str, config: Settings, *, control: bool = False) -> Setting:
    return Setting(title, merge(TASK, config), SEEDS, control=control, scale=SCALE)


SETTINGS = {name: _setting(title, config) for name, (title, config) in ASKED_OF.items()} | {
    name: _setting(title, config, control=True) for name, (title, config) in CONTROLS.items()
}
FAMILIES = {"reacher": Family("Reacher-v5", tuple(SETTINGS), (), figure=False)}
TESTING = shortened(
    SETTINGS, ("rating", "rating_networks"), merge(SHORT, {"labels": 8, "query": {"warm_up_steps": 512}})
)
