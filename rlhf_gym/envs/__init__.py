"""Make environments, record what happens in them, replay it, and pay the learned reward."""

from rlhf_gym.envs.clips import frames_per_second, write_clip
from rlhf_gym.envs.horizon import FixedHorizon
from rlhf_gym.envs.learned_reward import Episode, LearnedReward, VecLearnedReward, VectorLearnedReward
from rlhf_gym.envs.make import NoEnvironment, SeededEpisodes, make_env, make_vec_env
from rlhf_gym.envs.recorder import Recorder
from rlhf_gym.envs.registered import tell_if_only_here
from rlhf_gym.envs.remade import remake_env
from rlhf_gym.envs.replay import at_start, replay
from rlhf_gym.envs.shown import ShownSteps
from rlhf_gym.envs.trajectory_files import load_trajectories, save_trajectories
from rlhf_gym.segments import RewardFunction

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
