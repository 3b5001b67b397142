"""Observations normalised inside the policy, so that the policy's file holds their statistics."""

from __future__ import annotations

import math
from typing import final

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor

from rlhf_gym.agents.images import channels_first
from rlhf_gym.segments import Array

CLIP = 10.0  # standard deviations, as SB3's VecNormalize


@final
class NormalizedObservations(BaseFeaturesExtractor):
    """Features extractor that subtracts the running mean of observations and divides by the standard deviation.

    This moves what VecNormalize does from the environment into the policy: environments, recorder and reward model see
    raw observations, and the statistics are saved and loaded as part of the policy. They change only in
    :meth:`update`, so that PPO's update uses the statistics with which its rollout was collected.

    Args:
        observation_space: Box of any shape; observations are flattened.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, observation_space: spaces.Box) -> None:
        super().__init__(observation_space, features_dim=math.prod(observation_space.shape))
        self.register_buffer("mean", torch.zeros(self.features_dim))
        self.register_buffer("variance", torch.ones(self.features_dim))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def forward(self, observations: Tensor) -> Tensor:
        """Normalise observations, shape (S, *obs), to features, shape (S, D), clipped to 10 standard deviations."""
        centred = observations.flatten(start_dim=1) - self.mean
        return (centred * torch.rsqrt(self.variance + 1e-8)).clamp(-CLIP, CLIP)

    @torch.no_grad()
    def update(self, observations: Array) -> None:
        """Update the statistics with observations, shape (S, *obs) (Chan et al. 1979)."""
        seen_by_policy = channels_first(observations, self._observation_space)
        batch = np.asarray(seen_by_policy, np.float64).reshape(len(observations), -1)
        seen, new = self.count.item(), len(batch)
        share = new / (seen + new)
        mean, variance = self.mean.numpy().astype(np.float64), self.variance.numpy().astype(np.float64)
        apart = batch.mean(axis=0) - mean
        variance += share * (batch.var(axis=0) - variance) + share * (1 - share) * apart**2
        self.mean.copy_(torch.from_numpy(mean + share * apart))
        self.variance.copy_(torch.from_numpy(np.minimum(variance, np.finfo(np.float32).max)))  # inf - inf is nan
        self.count += new


@final
class UpdateStatistics(BaseCallback):
    """Update the statistics with each rollout's observations after PPO has trained on it."""

    _seen: Array | None = None

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        observations = self.model.rollout_buffer.observations  # type: ignore[attr-defined]
        self._seen = observations.reshape(-1, *observations.shape[2:]).copy()  # SB3 clears the buffer

    def _on_rollout_start(self) -> None:
        self._update()

    def _on_training_end(self) -> None:
        self._update()

    def _update(self) -> None:
        if self._seen is not None:
            self.model.policy.features_extractor.update(self._seen)  # type: ignore
            self._seen = None
