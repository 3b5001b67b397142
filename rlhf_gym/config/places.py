"""Paths in settings, made independent of the working folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlhf_gym.files import sqlite_file

PATHS = (
    "feedback.preferences",
    "feedback.demonstrator",
    "query.trajectories",
    "agent.start",
    "agent.reference",
    "reward.source_options.path",
    "teacher_options.file",
)
"""Settings that may name a file or folder; other text in them is a name."""
WORDS = {"agent.start": ("best",), "agent.reference": ("start", "best")}
"""Words in these settings that never name a file or folder."""


def absolute_store(url: str | None, folder: Path) -> str | None:
    """Complete the path of an SQLite file in a database URL; anything else is left as it is."""
    if (path := _relative_file(url)) is None or url is None:
        return url
    return url.replace(f":///{path}", f":///{folder / path}", 1)


def lost_store(url: str | None) -> Path | None:
    """Find where the missing SQLite file of a URL with a relative path should be; None for any other URL."""
    path = _relative_file(url)
    return None if path is None or Path(path).exists() else Path.cwd() / path


def _relative_file(url: str | None) -> str | None:
    path = sqlite_file(url)
    return None if path is None or Path(path).is_absolute() else path


def with_home(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Expand ``~/`` in the paths of nested settings."""
    return _with_places(settings, ("run_dir", *PATHS), lambda _, place: from_home(place))


def from_home(place: str) -> str:
    """Expand ``~/`` in a path, since shells don't do so in files or after an equals sign."""
    return str(Path(place).expanduser()) if place.startswith("~/") else place


def absolute_paths(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Complete relative paths in nested settings if they exist in a folder.

    Args:
        settings: Nested settings, which are copied.
        folder: The folder that paths are relative to.
    """

    def whole(setting: str, place: str) -> str:
        there = place not in WORDS.get(setting, ()) and (folder / place).exists()
        return str(folder / place) if there else place

    return _with_places(settings, PATHS, whole)


def _with_places(
    settings: Mapping[str, Any], names: Sequence[str], change: Callable[[str, str], str]
) -> dict[str, Any]:
    """Copy nested settings, replacing each place by `change(setting, place)`."""
    changed = dict(settings)
    for setting in names:
        *groups, name = setting.split(".")
        group: Any = changed
        for one in groups:
            if not isinstance(group.get(one), Mapping):
                break
            group[one] = group = dict(group[one])
        else:
            if isinstance(place := group.get(name), str):
                group[name] = change(setting, place)
    return changed
