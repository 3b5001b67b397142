"""Places in settings that don't hang on the working folder."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

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
    """Find the path of the SQLite file in a database URL, if it is relative."""
    from sqlalchemy import make_url  # here, for it takes long, and only stores need it
    from sqlalchemy.exc import ArgumentError

    try:
        found = make_url(url) if url else None
    except ArgumentError:  # refused where it is opened
        return None
    if found is None or found.get_backend_name() != "sqlite":
        return None
    path = found.database or ":memory:"
    return None if path == ":memory:" or path.startswith("file:") or Path(path).is_absolute() else path


def absolute_paths(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Complete relative paths in nested settings where a folder has what they name.

    Args:
        settings: Nested; a copy is returned.
        folder: Where paths begin.
    """
    complete = deepcopy(dict(settings))
    for setting in PATHS:
        *groups, name = setting.split(".")
        group: dict[str, Any] = complete
        for one in groups:
            group = group.get(one) or {}
        if isinstance(place := group.get(name), str) and (folder / place).exists():
            group[name] = str(folder / place)
    return complete
