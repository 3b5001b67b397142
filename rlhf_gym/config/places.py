"""Places in settings that don't hang on the working folder."""

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
"""What means something else in them, whatever files there are."""


def absolute_store(url: str | None, folder: Path) -> str | None:
    """Complete the path of an SQLite file in a database URL; anything else is left as it is."""
    if (path := _relative_file(url)) is None or url is None:
        return url
    return url.replace(f":///{path}", f":///{folder / path}", 1)


def lost_store(url: str | None) -> Path | None:
    """Find where the SQLite file of a URL with a relative path would be; None if it is there, or the path is whole."""
    path = _relative_file(url)
    return None if path is None or Path(path).exists() else Path.cwd() / path


def _relative_file(url: str | None) -> str | None:
    path = sqlite_file(url)
    return None if path is None or Path(path).is_absolute() else path


def with_home(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write out ``~/`` in nested settings."""
    return _with_places(settings, ("run_dir", *PATHS), lambda _, place: from_home(place))


def from_home(place: str) -> str:
    """Write out ``~/`` in a path, which no shell does in a file, nor after an equals sign."""
    return str(Path(place).expanduser()) if place.startswith("~/") else place


def absolute_paths(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Complete relative paths in nested settings where a folder has what they name.

    Args:
        settings: Nested; they stay as they are.
        folder: Where paths begin.
    """

    def whole(setting: str, place: str) -> str:
        there = place not in WORDS.get(setting, ()) and (folder / place).exists()
        return str(folder / place) if there else place

    return _with_places(settings, PATHS, whole)


def _with_places(
    settings: Mapping[str, Any], names: Sequence[str], change: Callable[[str, str], str]
) -> dict[str, Any]:
    """Copy nested settings, each place in them changed by a function of its setting and of itself."""
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
