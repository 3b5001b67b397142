"""Reinforcement learning from human feedback on Gymnasium control tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlhf_gym.config import RLHFConfig
from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.segments import Segment, Trajectory

if TYPE_CHECKING:
    from rlhf_gym.rlhf import RLHF
    from rlhf_gym.runs import Round

__all__ = ["RLHF", "Answer", "Preference", "Query", "RLHFConfig", "Round", "Segment", "Trajectory"]


def __getattr__(name: str) -> Any:
    """Import the main loop when it is first used: Torch takes seconds, and `rlhf-gym --help` needs none."""
    if name not in ("RLHF", "Round"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rlhf_gym import rlhf

    return getattr(rlhf, name)
