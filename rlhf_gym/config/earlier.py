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
"""Current names of settings by their earlier ones."""
BELONGS_TO = {
    "query.first_fraction": ("query.schedule", "christiano", "christiano"),
    "query.halving_steps": ("query.schedule", "christiano", "christiano"),
    "reward.constant": ("reward.source", "constant", "learned"),
}
"""Earlier names that were written even if unused: the setting, the value of it that uses them, and its default."""
RENAMED_VALUES: dict[tuple[str, str, Any], str] = {("reward", "source", "true_scaled"): "normalised_true"}


def renamed(settings: Mapping[str, Any], over: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Rename nested settings to their current names; unknown ones are kept, to be refused later.

    Args:
        settings: Nested settings, under any version's names.
        over: Settings that they will be laid over, under current names.
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
    """Complete a run's settings with the fixed behaviour of versions that lacked a setting: images were flat.

    Args:
        settings: All settings of the run, nested.
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
    """Set a value at a path of names; replace an existing one only if `over`."""
    *groups, name = path
    for group in groups:
        inner = settings.get(group)
        settings[group] = dict(inner) if isinstance(inner, Mapping) else {}
        settings = settings[group]
    if over or name not in settings:
        settings[name] = value
