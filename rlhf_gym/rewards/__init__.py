"""The reward model, its likelihood and its fit."""

from rlhf_gym.rewards.fitting import Bootstrap, RewardFit, fit_reward_model
from rlhf_gym.rewards.learner import RewardLearner
from rlhf_gym.rewards.likelihood import agreement, preference_logits, preference_loss
from rlhf_gym.rewards.model import RewardModel

__all__ = [
    "Bootstrap",
    "RewardFit",
    "RewardLearner",
    "RewardModel",
    "agreement",
    "fit_reward_model",
    "preference_logits",
    "preference_loss",
]
