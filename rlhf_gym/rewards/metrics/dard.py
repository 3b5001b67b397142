"""DARD: EPIC's distance with shaping over transitions that happen (Wulfe et al. 2022).

EPIC averages over next states that may never follow a state, where a learned reward is untested. DARD's canonical
reward averages over S' ~ T(s, A) and S'' ~ T(s', A) instead:

    r(s, a, s') + gamma E r(s', A, S'') - E r(s, A, S') - gamma E r(S', A, S'')

The simulator can't be reset to s here, so T and the distribution of A are approximated: the transitions from s are
those recorded from the `neighbours` states nearest to s, in standardised observations, without the step itself. A and
S' come from the same recorded step, so A is what the policies did near s, and not an independent draw. Shaping cancels
exactly, whatever the neighbours; the error of the expectations depends on the density of the steps, which is low where
observations have many coordinates.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.metrics.canonical import compared, distance, rewards_of
from rlhf_gym.rewards.metrics.judged import Judged, StepRewards
from rlhf_gym.rewards.metrics.metric import OfJudged
from rlhf_gym.segments import Array

POOL = 4096


def dard(samples: int = 256, neighbours: int = 10, seed: int = 0) -> OfJudged:
    """Pearson distance of both rewards, shaped over transitions near the judged ones (see the module).

    Args:
        samples: Number of steps compared.
        neighbours: Number of recorded transitions that approximate those from a state.
        seed: Of the draws.

    Returns:
        From 0, alike, to 1, opposite.

    Raises:
        BadInput: If `neighbours` isn't from 1 to 49.
    """
    if not 1 <= neighbours < 50:
        raise BadInput(f"dard got neighbours {neighbours}; use 1 to 49")

    def metric(judged: Judged) -> float:
        rng = np.random.default_rng(seed)
        on = compared(judged, metric="dard", samples=samples, rng=rng)
        steps, total = judged.steps, len(judged.steps[1])
        pool = rng.choice(total, min(POOL, total), replace=False)
        here, there = (
            pool[_nearest(states[on.chosen], steps[0][pool], pool, on.chosen, neighbours)]
            for states in (steps[0], steps[2])
        )
        shaped = [
            rewards + _shaping(function, steps, on.chosen, here, there, judged.gamma)
            for function, rewards in zip(on.functions, on.rewards, strict=True)
        ]
        return distance(on, shaped)

    return metric


def _nearest(states: Array, others: Array, numbers: Array, own: Array, k: int) -> Array:
    """Find the k nearest of `others` for each state, without its own step, shape (S, k)."""
    mean, std = others.mean(axis=0), others.std(axis=0)
    flat = [((part - mean) / np.where(std > 1e-6, std, 1)).reshape(len(part), -1) for part in (states, others)]
    distances = cdist(*flat)
    distances[numbers == own[:, None]] = np.inf
    return np.asarray(np.argpartition(distances, k - 1, axis=1)[:, :k])


def _shaping(
    function: StepRewards, steps: tuple[Array, Array, Array], chosen: Array, here: Array, there: Array, gamma: float
) -> Array:
    """Add up the three expectations, shape (S,); `here` and `there` index the steps from s and from s', (S, k)."""
    observations, actions, following = steps
    k = here.shape[1]

    def mean(starts: Array, taken: Array) -> Array:
        rewards = rewards_of(function, starts, actions[taken], following[taken])
        return np.asarray(rewards.reshape(len(chosen), -1).mean(axis=1))

    from_there = mean(np.repeat(following[chosen], k, axis=0), there.ravel())
    from_here = mean(np.repeat(observations[chosen], k, axis=0), here.ravel())
    onwards = mean(following[np.repeat(here, k, axis=1).ravel()], np.tile(there, (1, k)).ravel())
    return np.asarray(gamma * from_there - from_here - gamma * onwards)
