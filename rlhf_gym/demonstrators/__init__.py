"""Demonstrators: what a synthetic teacher shows, from a policy that plays or from recorded trajectories."""

from rlhf_gym.demonstrators.found import find_demonstrator
from rlhf_gym.demonstrators.playing import play_from, playing
from rlhf_gym.demonstrators.policies import load_policy_for, policy_file
from rlhf_gym.demonstrators.recorded import recorded

__all__ = ["find_demonstrator", "load_policy_for", "play_from", "playing", "policy_file", "recorded"]
