"""The reward model, its likelihood and its fit."""

from rlhf_gym.rewards.bootstrap import Bootstrap
from rlhf_gym.rewards.dataset import Dataset
from rlhf_gym.rewards.encoding import Encoding
from rlhf_gym.rewards.fitting import RewardFit, fit_reward_model
from rlhf_gym.rewards.learner import RewardLearner
from rlhf_gym.rewards.likelihood import accuracy, choice_loss
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.rewards.networks import mlp
from rlhf_gym.rewards.paid import scaled

__all__ = [
    "Bootstrap",
    "Dataset",
    "Encoding",
    "RewardFit",
    "RewardLearner",
    "RewardModel",
    "accuracy",
    "choice_loss",
    "fit_reward_model",
    "mlp",
    "scaled",
]
