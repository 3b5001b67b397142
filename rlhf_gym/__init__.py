"""Reinforcement learning from human feedback on Gymnasium control tasks."""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

from rlhf_gym.config import RLHFConfig

if TYPE_CHECKING:
    from rlhf_gym.preferences import Answer, Preference, Query
    from rlhf_gym.rlhf import RLHF
    from rlhf_gym.runs import Round
    from rlhf_gym.segments import Segment, Trajectory

__all__ = ["RLHF", "Answer", "Preference", "Query", "RLHFConfig", "Round", "Segment", "Trajectory"]

_LATER = {
    **dict.fromkeys(("Answer", "Preference", "Query"), "rlhf_gym.preferences"),
    **dict.fromkeys(("Segment", "Trajectory"), "rlhf_gym.segments"),
    "RLHF": "rlhf_gym.rlhf",
    "Round": "rlhf_gym.runs",
}


def __getattr__(name: str) -> Any:
    """Import names that need NumPy or torch at their first use, so that `rlhf-gym --help` doesn't wait for them."""
    if name == "__version__":
        return metadata.version("rlhf-gym")  # setup.cfg's
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
