"""Make environments, record what happens in them, replay it, and pay the learned reward."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rlhf_gym.envs.clips import frames_per_second, write_clip
from rlhf_gym.envs.horizon import FixedHorizon
from rlhf_gym.envs.make import NoEnvironment, SeededEpisodes, make_env
from rlhf_gym.envs.registered import tell_if_only_here
from rlhf_gym.envs.remade import remake_env
from rlhf_gym.envs.replay import at_start, replay
from rlhf_gym.envs.trajectory_files import load_trajectories, save_trajectories
from rlhf_gym.segments import RewardFunction

if TYPE_CHECKING:
    from rlhf_gym.envs.learned_reward import Episode, LearnedReward, VecLearnedReward, VectorLearnedReward
    from rlhf_gym.envs.make_vec import make_vec_env
    from rlhf_gym.envs.recorder import Recorder
    from rlhf_gym.envs.shown import ShownSteps

__all__ = [
    "Episode",
    "FixedHorizon",
    "LearnedReward",
    "NoEnvironment",
    "Recorder",
    "RewardFunction",
    "SeededEpisodes",
    "ShownSteps",
    "VecLearnedReward",
    "VectorLearnedReward",
    "at_start",
    "frames_per_second",
    "load_trajectories",
    "make_env",
    "make_vec_env",
    "remake_env",
    "replay",
    "save_trajectories",
    "tell_if_only_here",
    "write_clip",
]

_WITH_SB3 = {
    **dict.fromkeys(("Episode", "LearnedReward", "VecLearnedReward", "VectorLearnedReward"), "learned_reward"),
    "Recorder": "recorder",
    "ShownSteps": "shown",
    "make_vec_env": "make_vec",
}


def __getattr__(name: str) -> Any:
    """Import names that need Stable-Baselines3, and so torch, on first use; drawing a clip needs neither."""
    if name not in _WITH_SB3:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_SB3[name]}"), name)
