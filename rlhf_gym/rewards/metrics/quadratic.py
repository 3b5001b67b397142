"""The true reward approximated as a function of a step, where it is known only for steps that were taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rlhf_gym.rewards.metrics.correlation import FLAT
from rlhf_gym.rewards.metrics.judged import Judged, StepRewards
from rlhf_gym.segments import Array

MOST = 8192  # most steps fitted to, and most held out
RIDGE = 1e-6  # ridge penalty per step
BETTER = 0.01  # additional share of variance that further inputs must explain
View = Callable[[Array, Array, Array], Array]


def with_true_function(judged: Judged, *, seed: int = 0) -> Judged:
    """Fit a quadratic function of a step to the true reward, if its function isn't known.

    Squares and first powers of (s', a), (s, a) and (s, a, s') are fitted by ridge regression to half of the
    trajectories. On the other half, a later one replaces an earlier one only if it explains over :data:`BETTER` more of
    the true reward's variance; the share explained there becomes `true_explained`.

    Args:
        judged: Returned as it is if it has fewer than 2 trajectories.
        seed: Of the steps drawn, and of the halves.
    """
    if judged.true_function is not None or (n := len(judged.trajectories)) < 2:
        return judged
    rng = np.random.default_rng(seed)
    steps, true = judged.steps, judged.step_rewards[1]
    half = rng.permutation(n) < n / 2
    fitted = np.repeat(half, [len(one) for one in judged.trajectories])
    seen, held = (_some(np.flatnonzero(side), rng) for side in (fitted, ~fitted))
    best: tuple[StepRewards, float] | None = None
    for view in (_after, _before, _both):
        function = _fit(view, tuple(part[seen] for part in steps), true[seen])
        explained = _explained(function(*(part[held] for part in steps)), true[held])
        if best is None or explained > best[1] + BETTER:
            best = function, explained
    assert best is not None  # noqa: S101
    return replace(judged, true_function=best[0], true_explained=best[1])


def _some(numbers: Array, rng: np.random.Generator) -> Array:
    return rng.permutation(numbers)[:MOST]


def _flat(part: Array) -> Array:
    return part.reshape(len(part), -1).astype(np.float64)


def _after(observations: Array, actions: Array, following: Array) -> Array:
    return np.concatenate([_flat(following), _flat(actions)], axis=1)


def _before(observations: Array, actions: Array, following: Array) -> Array:
    return np.concatenate([_flat(observations), _flat(actions)], axis=1)


def _both(observations: Array, actions: Array, following: Array) -> Array:
    return np.concatenate([_flat(observations), _flat(actions), _flat(following)], axis=1)


def _fit(view: View, steps: tuple[Array, ...], true: Array) -> StepRewards:
    """Fit a quadratic without products by ridge regression; standardised inputs are clipped at 10 deviations."""
    inputs = view(*steps)
    mean, std = inputs.mean(axis=0), inputs.std(axis=0)
    unit = np.where(std > 1e-9, std, 1)

    def features(*parts: Array) -> Array:
        z = np.clip((view(*parts) - mean) / unit, -10, 10)
        return np.concatenate([np.ones((len(z), 1)), z, z**2], axis=1)

    x = features(*steps)
    ridge = RIDGE * len(x) * np.eye(x.shape[1])
    ridge[0, 0] = 0  # the constant isn't penalised
    weights = np.linalg.solve(x.T @ x + ridge, x.T @ (true - true.mean()))
    return lambda *parts: np.asarray(true.mean() + features(*parts) @ weights)


def _explained(predicted: Array, true: Array) -> float:
    """Compute R squared; for a constant true reward 1 if it is predicted, and 0 otherwise."""
    off, spread = np.square(predicted - true).mean(), true.var()
    if spread <= (FLAT * np.abs(true).max()) ** 2:
        return float(off <= 1e-6 * np.square(true).mean())
    return float(1 - off / spread)
