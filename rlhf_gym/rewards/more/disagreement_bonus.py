"""A bonus for steps that the ensemble disagrees about, so that the policy explores them (RUNE)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.rewards.more.more import More
from rlhf_gym.segments import Array, RewardFunction


def disagreement_bonus(beta: float = 0.05, decay: float = 1e-5) -> More:
    """Add a decaying multiple of the members' standard deviation to the reward (Liang et al. 2022, eq. 5 and 6).

    r + beta_t (std - its mean over latest steps), with beta_t = beta (1 - decay)^t after t environment steps.
    Subtracting the mean is ours, so that the bonus pays nothing on average; otherwise it would pay for living where
    little is known, which in tasks that end on failure hints at the solution. The members' rewards have unit size. A
    policy is evaluated, and a reward model saved, without the bonus; `reward.pessimism` is the same with the opposite
    sign.

    Args:
        beta: Weight at the start; RUNE takes 0.05.
        decay: Share by which it shrinks in an environment step; RUNE takes 1e-3 to 1e-5. At 1e-5 half is left after
            69,000 steps.

    Raises:
        BadInput: On a number out of its range.
    """
    if not beta >= 0:
        raise BadInput(f"reward.more.disagreement_bonus.beta is {beta}; use at least 0")
    if not 0 <= decay <= 1:
        raise BadInput(f"reward.more.disagreement_bonus.decay is {decay}; use a number from 0 to 1")

    def bonus(pay: RewardFunction, model: RewardModel, steps: int, mean: float) -> RewardFunction:
        return plus_disagreement(pay, model.disagreement_function(), beta * (1 - decay) ** steps, mean)

    return More(bonus=bonus)


def plus_disagreement(pay: RewardFunction, disagreement: RewardFunction, beta: float, mean: float) -> RewardFunction:
    """Pay beta (disagreement - mean) on top of a reward function, for a batch of steps or for one.

    Args:
        pay: The reward function without the bonus.
        disagreement: The disagreement about each step.
        beta: Weight of the bonus.
        mean: Subtracted from the disagreement.
    """

    def reward(observations: Array, actions: Array, next_observations: Array, terminated: Array) -> Any:
        steps = (observations, actions, next_observations, terminated)
        return pay(*steps) + np.float32(beta) * (disagreement(*steps) - np.float32(mean))

    return reward
