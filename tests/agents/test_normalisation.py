"""Observations normalised inside the policy."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from rlhf_gym.agents import OnPolicyAgent
from rlhf_gym.agents.normalisation import NormalizedObservations
from rlhf_gym.segments import Array

SPACE = spaces.Box(-np.inf, np.inf, (3,))
SMALL = {"n_steps": 32, "batch_size": 32, "n_epochs": 2}


def given(extractor: NormalizedObservations, observations: Array) -> Array:
    return np.asarray(extractor(torch.from_numpy(observations.astype(np.float32))).numpy())


def test_before_any_update_observations_pass_unchanged():
    observations = np.array([[1.0, -2.0, 3.0]])
    np.testing.assert_allclose(given(NormalizedObservations(SPACE), observations), observations, rtol=1e-6)


def test_what_was_taken_in_comes_out_with_mean_0_and_deviation_1():
    observations = np.random.default_rng(0).normal([5, -100, 0.01], [1, 30, 1e-3], size=(500, 3))
    extractor = NormalizedObservations(SPACE)
    extractor.update(observations)
    out = given(extractor, observations)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(out.std(axis=0), 1, atol=0.01)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (10, 1, 200), (3, 300)], ids=str)
def test_statistics_taken_in_portions_are_those_of_all_together(sizes: tuple[int, ...]):
    observations = np.random.default_rng(1).normal([5, -3, 0], [1, 30, 0.1], size=(sum(sizes), 3))
    extractor = NormalizedObservations(SPACE)
    for part in np.split(observations, np.cumsum(sizes)[:-1]):
        extractor.update(part)
    np.testing.assert_allclose(extractor.mean, observations.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(extractor.variance, observations.var(axis=0), rtol=1e-4)
    assert extractor.count == sum(sizes)


def test_an_outlier_is_clipped_at_ten_deviations():
    extractor = NormalizedObservations(SPACE)
    extractor.update(np.array([[-1.0, -1, -1], [1, 1, 1]]))
    np.testing.assert_allclose(given(extractor, np.array([[1e6, -1e6, 9]])), [[10, -10, 9]], rtol=1e-6)


def test_a_number_that_never_changes_gives_0():
    extractor = NormalizedObservations(SPACE)
    extractor.update(np.full((10, 3), 7.0))
    np.testing.assert_array_equal(given(extractor, np.full((1, 3), 7.0)), [[0, 0, 0]])


def learner(**settings: bool) -> OnPolicyAgent:
    torch.set_num_threads(1)
    venv = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")] * 2)
    return OnPolicyAgent(PPO, venv, seed=0, total_timesteps=1000, options=SMALL, **settings)


def test_every_rollout_is_counted_once_also_over_several_portions():
    agent = learner(normalize_observations=True)
    for rollouts in (1, 3, 2):
        agent.improve(rollouts * 64)
    assert agent.sb3.policy.features_extractor.count == 6 * 64  # type: ignore[union-attr]


def test_a_rollout_is_trained_on_under_the_statistics_it_was_collected_with():
    """So that PPO's first ratio is 1: what an action's probability was is what it still is."""
    agent = learner(normalize_observations=True)
    agent.improve(64)
    ppo = agent.sb3
    apart, train = [], ppo.train

    def spy() -> None:
        buffer = ppo.rollout_buffer
        observations = torch.from_numpy(buffer.observations.reshape(-1, 3))
        _, log_prob, _ = ppo.policy.evaluate_actions(observations, torch.from_numpy(buffer.actions.reshape(-1, 1)))
        apart.append((log_prob.detach().numpy() - buffer.log_probs.reshape(-1)).__abs__().max())
        train()

    ppo.train = spy  # type: ignore[method-assign]
    agent.improve(3 * 64)
    assert len(apart) == 3 and max(apart) < 1e-4


def test_the_statistics_travel_with_the_policy_to_a_plain_load(tmp_path: Path):
    agent = learner(normalize_observations=True)
    agent.improve(2 * 64)
    agent.save(tmp_path / "policy.zip")
    observation = np.array([0.3, -0.8, 2.0], np.float32)
    expected, _ = agent.predict(observation, deterministic=True)
    code = (
        "from stable_baselines3 import PPO; import numpy as np; "
        f"ppo = PPO.load({str(tmp_path / 'policy.zip')!r}, device='cpu'); "
        "print(repr(float(ppo.predict(np.array([0.3, -0.8, 2.0], np.float32), deterministic=True)[0][0])))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == float(expected[0])
    assert PPO.load(tmp_path / "policy.zip").policy.features_extractor.count == 128  # type: ignore[union-attr]


def test_a_policy_that_does_not_normalise_is_sb3s_own():
    assert not isinstance(learner().sb3.policy.features_extractor, NormalizedObservations)
