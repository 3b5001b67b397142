"""Settings that take a name from the registry, and the options of the parts that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rlhf_gym.registry import TABLES, check_name, names_in

OPTIONS_OF = {
    "teacher": "teacher_options",
    "query.scheme": "query.scheme_options",
    "query.schedule": "query.schedule_options",
    "reward.source": "reward.source_options",
    "reward.network": "reward.network_options",
    "algo": "agent.options",
    "method": "method_options",
    "agent.start": "agent.start_options",
}
"""The setting with the options of the part that each setting names."""
DEFAULTS = {
    "teacher": "oracle",
    "query.scheme": "disagreement",
    "query.schedule": "christiano",
    "reward.source": "learned",
    "reward.network": "mlp",
    "algo": "ppo",
    "method": "learned_reward",
    "agent.start": None,
}
"""The default name of each setting, the same as the field's own default, which a test compares."""
BY_NAME = ("reward.more",)
"""Settings that take any number of names, each with its options."""


@dataclass(frozen=True)
class Named:
    """Mark a field that takes a name from one of the registry's tables, or a dotted one."""

    setting: str

    @property
    def names(self) -> Iterable[str]:
        """The registered names."""
        return TABLES[self.setting]

    def check(self, name: str, value: Any) -> None:
        """Refuse an unknown name; None passes.

        Raises:
            BadInput: With the nearest registered name.
        """
        for one in () if value is None else names_in(self.setting, value):
            check_name(self.setting, one)


def without_foreign_options(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Drop from `settings` the options of parts that `changes` replace."""
    kept = dict(settings)
    for setting, options in OPTIONS_OF.items():
        name = get(changes, setting)
        if name is not None and name != (get(settings, setting) or DEFAULTS[setting]):
            kept = _without(kept, options)
    return kept


def get(settings: Any, dotted: str) -> Any:
    """Get the value at a dotted name in nested mappings or an RLHFConfig; None if it isn't set."""
    value = settings
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return value


def _without(settings: Mapping[str, Any], dotted: str) -> dict[str, Any]:
    first, _, rest = dotted.partition(".")
    if not rest:
        return {name: value for name, value in settings.items() if name != first}
    inner = settings.get(first)
    return {**settings, first: _without(inner, rest)} if isinstance(inner, Mapping) else dict(settings)
