"""Names that settings had in earlier versions: still read, never written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlhf_gym.config.named import get
from rlhf_gym.registry import PPO

RENAMED = {
    "query.first_steps": "query.warm_up_steps",
    "reward.random_share": "reward.label_noise",
    "reward.hidden": "reward.network_options.hidden",
    "query.first_fraction": "query.schedule_options.first_fraction",
    "query.halving_steps": "query.schedule_options.halving_steps",
    "reward.constant": "reward.source_options.value",
    **{f"agent.{name}": f"agent.options.{name}" for name in PPO},
}
"""By the earlier name."""
BELONGS_TO = {
    "query.first_fraction": ("query.schedule", "christiano", "christiano"),
    "query.halving_steps": ("query.schedule", "christiano", "christiano"),
    "reward.constant": ("reward.source", "constant", "learned"),
}
"""Earlier names that were set whether or not they were used: the setting, the value they belong to, its default."""
RENAMED_VALUES: dict[tuple[str, str, Any], str] = {("reward", "source", "true_scaled"): "normalised_true"}


def renamed(settings: Mapping[str, Any], over: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Rename settings to today's names, nested as they are; unknown ones are left for others to refuse.

    Args:
        settings: Under any version's names.
        over: What they will be laid over, under today's names.
    """
    new: dict[str, Any] = {
        name: dict(value) if isinstance(value, Mapping) and name != "env_kwargs" else value
        for name, value in settings.items()
    }
    for (group, name, value), today in RENAMED_VALUES.items():
        if isinstance(new.get(group), dict) and new[group].get(name) == value:
            new[group][name] = today
    unused = [earlier for earlier in BELONGS_TO if not _is_used(earlier, new, over or {})]
    for earlier, today in RENAMED.items():
        group, name = earlier.split(".")
        if not isinstance(new.get(group), dict) or name not in new[group]:
            continue
        value = new[group].pop(name)
        if earlier not in unused:
            put(new, today.split("."), value)
    return new


def as_written(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a run's settings with what its version did where later ones have a choice: images were flat.

    Args:
        settings: All of a run's, nested.
    """
    kept = dict(settings)
    for group in ("reward", "agent"):
        if isinstance(kept.get(group), Mapping):
            kept[group] = {"images": "flat", **kept[group]}
    return kept


def _is_used(earlier: str, *settings: Mapping[str, Any]) -> bool:
    setting, wanted, default = BELONGS_TO[earlier]
    named = [value for one in settings if (value := get(one, setting)) is not None]
    return bool([*named, default][0] == wanted)


def put(settings: dict[str, Any], path: list[str], value: Any, *, over: bool = False) -> None:
    """Set a value at a path of names, unless there is one that it isn't to be put over."""
    *groups, name = path
    for group in groups:
        inner = settings.get(group)
        settings[group] = dict(inner) if isinstance(inner, Mapping) else {}
        settings = settings[group]
    if over or name not in settings:
        settings[name] = value
