"""Observations at the edge of float32, in the policy and in a whole run."""

from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents.normalisation import CLIP, NormalizedObservations
from rlhf_gym.errors import BadInput


class Large(gymnasium.Env[Any, Any]):
    """Numbers of one size, half of them negative."""

    def __init__(self, size: float = 1.0) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space, self.size = spaces.Discrete(2), size

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.size * self.np_random.choice([-1.0, 1.0], 2), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.size * self.np_random.choice([-1.0, 1.0], 2), float(action), False, False, {}


gymnasium.register("LargeObservations-v0", entry_point=Large, max_episode_steps=8)


def config(size: float) -> RLHFConfig:
    return RLHFConfig().replace(
        env_id="LargeObservations-v0",
        env_kwargs={"size": size},
        labels=4,
        total_timesteps=128,
        segment_length=4,
        query={"rounds": 2, "warm_up_steps": 32},
        reward={"steps": 5},
        agent={"n_envs": 2, "options": {"n_steps": 16, "batch_size": 16, "n_epochs": 1}},
        evaluation={"n_episodes": 1},
    )


def test_normalised_observations_stay_finite_whatever_their_size() -> None:
    extractor = NormalizedObservations(spaces.Box(-np.inf, np.inf, (2,), np.float32))
    observations = np.array([[1e30, 1.0], [-1e30, 2.0], [3e38, 3.0]], np.float32)
    for _ in range(3):
        extractor.update(observations)
        seen = extractor(torch.from_numpy(observations))
        assert seen.isfinite().all() and seen.abs().max() <= CLIP
    assert extractor.variance.isfinite().all()


def test_a_run_on_observations_of_1e30_ends_with_a_policy() -> None:
    with closing(RLHF(config(1e30))) as rlhf:
        assert 0 <= rlhf.learn()["true_return_mean"] <= 8
        assert all(bool(parameter.isfinite().all()) for parameter in rlhf.agent.sb3.policy.parameters())


def test_observations_that_float32_cannot_hold_are_refused_in_one_line() -> None:
    with closing(RLHF(config(1e200))) as rlhf, pytest.raises(BadInput, match="expected finite numbers up to 3.4e.38"):
        rlhf.learn()
