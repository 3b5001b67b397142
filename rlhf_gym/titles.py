"""Titles of runs in one figure: their labels and teacher, and the other settings in which they differ."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rlhf_gym.config.named import get
from rlhf_gym.registry import source_entry, teacher_entry

if TYPE_CHECKING:
    from rlhf_gym.config import RLHFConfig

NAMED_FIRST = ("teacher", "kind", "query.scheme", "query.schedule", "reward.network", "algo", "method")
"""Settings whose unusual values are clear without the setting's name."""


@dataclass(frozen=True)
class Line:
    """The drawing of one setting: title, colour, dashes.

    Args:
        title: Its name in the figure.
        control: Whether it is a control, drawn muted and dashed.
    """

    title: str
    control: bool = False


def titles(configs: Sequence[RLHFConfig]) -> list[Line]:
    """Title each run; runs of the same settings, whatever their seeds and steps, have the same title."""
    usual = type(configs[0])()
    name_env = len({config.env_id for config in configs}) > 1
    found, alike = [], defaultdict[str, list[int]](list)
    for number, config in enumerate(configs):
        line = _of(config)
        unusual = [get(config, name) for name in NAMED_FIRST if get(config, name) != get(usual, name)]
        also = [name.rpartition(":")[2] for name in unusual if not teacher_entry(name).title]
        found.append(replace(line, title=", ".join([config.env_id] * name_env + [line.title, *also])))
        alike[found[-1].title].append(number)
    for numbers in alike.values():
        for number, differing in zip(numbers, _differences([configs[number] for number in numbers]), strict=True):
            found[number] = replace(found[number], title=", ".join([found[number].title, *differing]))
    return found


def _of(config: RLHFConfig) -> Line:
    """Title a run by itself."""
    source, teacher = source_entry(config.reward.source), teacher_entry(config.teacher)
    title = source.titled(config.reward.source_options)
    if source.labels:
        title = f"{config.labels} {teacher.title or 'labels'}"
    if config.feedback.goal:
        title = title.replace("true reward", "goal") + f", goal {config.feedback.goal.rpartition(':')[2]}"
    if config.env.fixed_horizon is not None:
        title += f", fixed horizon {config.env.fixed_horizon}"
    return Line(title, control=source.control or teacher.control)


def _differences(configs: Sequence[RLHFConfig]) -> list[list[str]]:
    """List for each run its values of the settings in which some runs differ."""
    from rlhf_gym.runs.budget import MAY_CHANGE, flat

    settings = [flat(config) for config in configs]
    every = dict.fromkeys(name for own in settings for name in own)
    names = [name for name in every if not name.startswith(("seed", "feedback.run", *MAY_CHANGE))]
    differing = [name for name in names if any(own.get(name) != settings[0].get(name) for own in settings)]
    return [[f"{name.rpartition('.')[2]} {_text(own.get(name))}" for name in differing] for own in settings]


def _text(value: Any) -> str:
    if isinstance(value, str | int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return "none" if value is None or value == {} else json.dumps(value)
