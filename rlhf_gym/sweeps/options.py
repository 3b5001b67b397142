"""Check the options of a run's parts before it begins, as far as that needs no environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rlhf_gym.agents import check_algorithm_options
from rlhf_gym.config import RLHFConfig
from rlhf_gym.config.mappings import build, check_types
from rlhf_gym.config.named import BY_NAME, OPTIONS_OF, get
from rlhf_gym.config.start_options import StartOptions
from rlhf_gym.errors import BadInput
from rlhf_gym.registry import TABLES, check_user_options


def check_part_options(config: RLHFConfig) -> None:
    """Refuse options that registered parts don't take; parts of the user's own check theirs when the run begins.

    Raises:
        BadInput: Naming the option.
    """
    for setting, name, options in _named(config):
        if name not in TABLES[setting]:
            continue
        if setting == "algo":
            check_algorithm_options(name, options)
        else:
            check_user_options(setting, name, options)
    if config.agent.start is not None or config.agent.reference is not None:
        check_types(build(StartOptions, config.agent.start_options, "agent.start_options."), "agent.start_options.")


def _named(config: RLHFConfig) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the setting, name and options of each part that the run makes."""
    unused = {"query.scheme"} if config.query.scheme == "uniform" else set()
    unused |= set() if config.reward.ensemble_size else {"reward.network"}
    for setting, holder in OPTIONS_OF.items():
        if setting in TABLES and setting not in unused:
            yield setting, get(config, setting), get(config, holder)
    for setting in BY_NAME:
        for name, options in get(config, setting).items():
            if not isinstance(options, Mapping | None):
                raise BadInput(f"{setting}.{name} is {options!r}; expected its parameters by name, or {{}} for none")
            yield setting, name, options or {}
