"""Reinforcement learning from human feedback on Gymnasium control tasks."""

from rlhf_gym.config import RLHFConfig
from rlhf_gym.rlhf import RLHF
from rlhf_gym.runs import Round
from rlhf_gym.segments import Answer, Preference, Query, Segment, Trajectory

__all__ = ["RLHF", "Answer", "Preference", "Query", "RLHFConfig", "Round", "Segment", "Trajectory"]
