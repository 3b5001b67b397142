"""Names of code in settings: modules and addresses that are imported, called or connected to because a file says so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rlhf_gym.config.passwords import url_without_password
from rlhf_gym.config.settings import RLHFConfig
from rlhf_gym.registry import GIVEN

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.\w+)*:[^\W\d][\w.]*")
WORDS = ("feedback.instructions", "feedback.levels", "run_dir")
"""Settings whose text is never imported."""


def code_named(config: RLHFConfig, *settings: str) -> dict[str, str]:
    """Collect the code outside this package that settings name: modules, a database, a model's address.

    Args:
        config: All settings.
        *settings: Settings to look at, with their options; without any, all.

    Returns:
        Names by setting; for options by their full path, such as `teacher_options.each.0.teacher`.
    """
    named = dict(_dotted(asdict(config), ""))
    if ":" in config.env_id:
        named["env_id"] = config.env_id
    for name, place in (("store", config.feedback.store), ("preferences", config.feedback.preferences)):
        if place and (name == "store" or "://" in place):
            named[f"feedback.{name}"] = url_without_password(place)
    if url := config.teacher_options.get("url"):  # receives the key of a model's provider
        named["teacher_options.url"] = str(url)
    return {name: value for name, value in named.items() if not settings or name.startswith(settings)}


def _dotted(value: Any, setting: str) -> Iterator[tuple[str, str]]:
    """Find `module:attribute` in any text, keys included, since the user's own parts may have any options."""
    if setting in WORDS:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _dotted(str(name), setting)
            yield from _dotted(inner, f"{setting}.{name}" if setting else str(name))
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            yield from _dotted(inner, f"{setting}.{i}")
    elif isinstance(value, str):
        for number, found in enumerate(re.split(r"[\s,=]+", value)):
            if _DOTTED.fullmatch(found) and not found.startswith((GIVEN, "minari:")):
                yield f"{setting}{f' ({number + 1})' if number else ''}", found
