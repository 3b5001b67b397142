"""A reward model over a whole run, with what its fits hand on to one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from scipy.special import expit

from rlhf_gym.preferences import Preference, Query
from rlhf_gym.rewards.fitting import Bootstrap, RewardFit, fit_reward_model
from rlhf_gym.rewards.model import RewardModel
from rlhf_gym.segments import Array, Trajectory, pad

SCALE_STEPS = 2048


@final
class RewardLearner:
    """Fit one model again and again to growing data.

    Args:
        model: Changed in place.
        rng: Source of bootstrap weights and batches.
        l2: Weight decay to start from; every fit starts from where the last one left it.
        **settings: Of :func:`rlhf_gym.rewards.fit_reward_model`.

    Attributes:
        version: How often the model has been fitted.
        l2: Weight decay that the next fit starts from.
    """

    def __init__(self, model: RewardModel, *, rng: np.random.Generator, l2: float, **settings: float) -> None:
        self.model, self.version = model, 0
        self.l2, self._rng, self._settings = l2, rng, settings
        self._bootstrap = Bootstrap(model.ensemble_size, seed=int(rng.integers(2**63)))

    def fit(self, preferences: Sequence[Preference]) -> RewardFit:
        """Go on fitting to all preferences so far."""
        fit = fit_reward_model(
            self.model,
            preferences,
            bootstrap=self._bootstrap,
            rng=self._rng,
            l2=self.l2,
            **self._settings,  # type: ignore[arg-type]
        )
        self.l2 = fit.l2
        self.version += 1
        return fit

    def scale(self, trajectories: Sequence[Trajectory], *, shift: bool) -> None:
        """Give the rewards of these steps unit size (:meth:`RewardModel.freeze_outputs`).

        A model that was never fitted has its input statistics taken from them, too.
        """
        observations, next_observations, actions = (
            np.concatenate(arrays)
            for arrays in zip(
                *((t.observations[:-1], t.observations[1:], t.actions) for t in trajectories), strict=True
            )
        )
        if len(actions) > SCALE_STEPS:  # evenly spread: more would cost time and change nothing
            some = np.linspace(0, len(actions) - 1, SCALE_STEPS).astype(int)
            observations, actions, next_observations = observations[some], actions[some], next_observations[some]
        inputs = torch.from_numpy(self.model.encode(observations, actions, next_observations))
        if self.version == 0:
            self.model.freeze_inputs(inputs)
        self.model.freeze_outputs(inputs, shift=shift)

    def probabilities(self, queries: Sequence[Query]) -> Array:
        """Each member's probability that left is preferred, shape (M, N)."""
        returns = self.model.returns(pad([side for query in queries for side in (query.left, query.right)]))
        return np.asarray(expit(returns[:, ::2] - returns[:, 1::2]))
