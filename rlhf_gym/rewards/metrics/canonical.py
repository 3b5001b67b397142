"""What EPIC and DARD share: both rewards as functions of a step, and the steps they are compared on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.metrics.correlation import pearson_distance
from rlhf_gym.rewards.metrics.judged import AT_ONCE, Judged, StepRewards
from rlhf_gym.rewards.metrics.metric import TooFew
from rlhf_gym.segments import Array

LEAST = 50
EXPLAINED = 0.8
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Compared:
    """Steps that two rewards are compared on.

    Args:
        chosen: Indices of the steps, shape (S,).
        functions: The learned and the true reward of any step.
        rewards: Rewards of these steps by the two functions, shape (2, S). The recorded ones aren't used: a quadratic's
            residual wouldn't cancel as a potential does, and would dominate the distance.
    """

    chosen: Array
    functions: tuple[StepRewards, StepRewards]
    rewards: Array


def compared(judged: Judged, *, metric: str, samples: int, rng: np.random.Generator) -> Compared:
    """Draw steps to compare both rewards on.

    Raises:
        BadInput: If there are fewer than 50, or the true reward isn't known as a function of a step.
    """
    steps = judged.step_rewards.shape[1]
    if steps < LEAST:
        raise TooFew(metric, LEAST, "steps", steps)
    if judged.true_function is None:
        raise TooFew(metric, 2, "trajectories, or a goal,", len(judged.trajectories))
    if judged.true_explained < EXPLAINED:
        raise BadInput(
            f"{metric} needs the true reward of steps that nobody took, and the environment pays only for those taken; "
            f"a quadratic of (s, a, s') explains {judged.true_explained:.2f} of it and {EXPLAINED} is needed; "
            "use a goal, or more episodes"
        )
    chosen = rng.choice(steps, min(samples, steps), replace=False)
    functions, taken = (judged.learned_function, judged.true_function), [part[chosen] for part in judged.steps]
    return Compared(chosen, functions, np.stack([rewards_of(function, *taken) for function in functions]))


def distance(on: Compared, shaped: Sequence[Array]) -> float:
    """Compute the Pearson distance of two canonical rewards, each of shape (S,); nan if one is constant.

    Whether one is constant is judged by the size of the rewards before shaping, as its own size is that of rounding.
    """
    sizes = np.abs(on.rewards).max(axis=1)
    if any(reward.std() <= ROUNDING * size for reward, size in zip(shaped, sizes, strict=True)):
        return math.nan
    return pearson_distance(*shaped)


def rewards_of(function: StepRewards, observations: Array, actions: Array, following: Array) -> Array:
    """Compute the rewards of S steps, a part at a time, float64."""
    parts = [slice(i, i + AT_ONCE) for i in range(0, len(actions), AT_ONCE)]
    each = [function(observations[part], actions[part], following[part]) for part in parts]
    return np.concatenate(each).astype(np.float64)
