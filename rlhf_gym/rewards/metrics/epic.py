"""EPIC: a distance of two rewards that is invariant to potential shaping, scale and shift (Gleave et al. 2021)."""

from __future__ import annotations

import numpy as np

from rlhf_gym.rewards.metrics.canonical import compared, distance, rewards_of
from rlhf_gym.rewards.metrics.judged import Judged, StepRewards
from rlhf_gym.rewards.metrics.metric import OfJudged
from rlhf_gym.segments import Array


def epic(samples: int = 512, coverage: int = 256, seed: int = 0) -> OfJudged:
    """Pearson distance of both rewards, canonically shaped (their section 4).

    The coverage distribution is the judged steps. The distance is computed on a sample of them; next states S' and
    actions A are drawn from them independently, so that a canonical reward averages over steps that were never taken.
    It is r(s, a, s') + gamma E r(s', A, S') - E r(s, A, S'), less a constant that the distance ignores. A state in
    which an episode terminated has a potential like any other.

    Args:
        samples: Number of steps compared.
        coverage: Number of pairs of action and next state that a canonical reward averages over.
        seed: Of both draws.

    Returns:
        From 0, alike, to 1, opposite; 0.71 for rewards that have nothing in common.
    """

    def metric(judged: Judged) -> float:
        rng = np.random.default_rng(seed)
        on = compared(judged, metric="epic", samples=samples, rng=rng)
        observations, actions, following = judged.steps
        drawn = actions[rng.integers(len(actions), size=coverage)], following[rng.integers(len(actions), size=coverage)]
        from_here, from_there = observations[on.chosen], following[on.chosen]

        def canonical(function: StepRewards, rewards: Array) -> Array:
            here, there = (_mean_rewards(function, states, *drawn) for states in (from_here, from_there))
            return np.asarray(rewards + judged.gamma * there - here)

        return distance(on, list(map(canonical, on.functions, on.rewards)))

    return metric


def _mean_rewards(function: StepRewards, states: Array, actions: Array, following: Array) -> Array:
    """Average the rewards of each state over pairs of action and next state, shape (S,)."""
    n, k = len(states), len(actions)
    tiled = (np.tile(part, (n, *[1] * (part.ndim - 1))) for part in (actions, following))
    return np.asarray(rewards_of(function, np.repeat(states, k, axis=0), *tiled).reshape(n, k).mean(axis=1))
