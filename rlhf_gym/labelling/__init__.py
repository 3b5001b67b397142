"""People as teachers: clips of queries, and the interfaces that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlhf_gym.labelling.clips import Clip, ClipCache, ClipError, ClipNotReady

if TYPE_CHECKING:
    from rlhf_gym.labelling.desk import Desk, Progress, Taken

__all__ = ["Clip", "ClipCache", "ClipError", "ClipNotReady", "Desk", "Progress", "Taken"]


def __getattr__(name: str) -> Any:
    """Import the desk, and with it the store, on first use, because the drawing process needs neither."""
    if name not in ("Desk", "Progress", "Taken"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rlhf_gym.labelling import desk

    return getattr(desk, name)
