"""How answers become a better policy."""

from rlhf_gym.methods.exploring import explore, whole_portions
from rlhf_gym.methods.learned_reward import LearnedRewardMethod
from rlhf_gym.methods.method import Lately, Method

__all__ = ["Lately", "LearnedRewardMethod", "Method", "explore", "whole_portions"]
