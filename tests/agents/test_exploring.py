"""Actions with more or less exploration noise than the policy's own."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv

from rlhf_gym.agents import Agent, make_agent
from rlhf_gym.segments import Array

N = 4000


def make(algo: str, env_id: str, **options: Any) -> Agent:
    torch.set_num_threads(1)
    venv = DummyVecEnv([lambda: gymnasium.make(env_id)])
    return make_agent(algo, venv, seed=0, total_timesteps=100, net_arch=(8,), options=options)


def actions(agent: Agent, factor: float, observation: Array) -> Array:
    """N actions on one observation."""
    return agent.act(
        np.repeat(observation[None], N, axis=0), np.full(N, factor, np.float32), rng=np.random.default_rng(0)
    )


@pytest.mark.parametrize(("factor", "std"), [(0.0, 0.0), (1.0, 0.3), (2.0, 0.6)])
def test_the_factor_multiplies_ppos_standard_deviation(factor: float, std: float) -> None:
    agent = make("ppo", "Pendulum-v1", log_std_init=float(np.log(0.3)))
    observation = np.array([1, 0, 0], np.float32)
    found = actions(agent, factor, observation)
    assert found.mean() == pytest.approx(agent.predict(observation)[0].item(), abs=0.04)
    assert found.std() == pytest.approx(std, abs=0.02)


def test_actions_are_clipped_to_their_space_as_sb3_does() -> None:
    found = actions(make("ppo", "Pendulum-v1", log_std_init=1.0), 2.0, np.zeros(3, np.float32))
    assert (found.min(), found.max()) == (-2, 2) and 0.6 < np.mean(
        np.abs(found) == 2
    ) < 0.8  # P(|N(0, 5.4)| > 2) = 0.71


@pytest.mark.parametrize(("factor", "share"), [(0.0, 1.0), (1.0, 0.9), (2.0, 0.75)])
def test_the_factor_divides_the_logits_of_discrete_actions(factor: float, share: float) -> None:
    agent: Any = make("ppo", "CartPole-v1")
    with torch.no_grad():  # the second action has odds of 9, so of 3 with its logits halved
        agent.sb3.policy.action_net.weight.zero_()
        agent.sb3.policy.action_net.bias.copy_(torch.tensor([0.0, np.log(9)]))
    assert actions(agent, factor, np.zeros(4, np.float32)).mean() == pytest.approx(share, abs=0.02)


def test_the_factor_multiplies_sacs_standard_deviation_before_it_is_squashed() -> None:
    agent: Any = make("sac", "Pendulum-v1", learning_starts=0)
    observation = np.array([1, 0, 0], np.float32)
    own, twice = (np.arctanh(np.clip(actions(agent, f, observation) / 2, -1 + 1e-6, 1 - 1e-6)) for f in (0.1, 0.2))
    assert twice.std() == pytest.approx(2 * own.std(), rel=1e-3)
    assert twice.mean() == pytest.approx(own.mean(), abs=0.02)


class Matrix(gymnasium.Env[Any, Any]):
    """Actions of two axes."""

    observation_space, action_space = spaces.Box(-1, 1, (3,)), spaces.Box(0, 1, (2, 2))


def test_the_factor_multiplies_td3s_noise_also_where_actions_have_two_axes() -> None:
    venv = DummyVecEnv([Matrix])
    agent = make_agent("td3", venv, seed=0, total_timesteps=100, net_arch=(8,), options={"action_noise": 0.1})
    agent.sb3.learning_starts = 0  # type: ignore[attr-defined]
    observation = np.zeros(3, np.float32)
    found = {factor: actions(agent, factor, observation) for factor in (0.0, 1.0, 2.0)}
    assert found[1.0].shape == (N, 2, 2)
    assert np.allclose(found[0.0], agent.predict(observation)[0], atol=1e-6)
    spread = {factor: (found[factor] - found[0.0]).std(axis=0) for factor in found}
    assert spread[1.0] == pytest.approx(np.full((2, 2), 0.05), abs=0.005)  # 0.1 of half the range
    assert spread[2.0] == pytest.approx(np.full((2, 2), 0.1), abs=0.01)


def test_td3_explores_with_the_noise_that_sb3_adds_to_what_it_predicts() -> None:
    agent: Any = make("td3", "Pendulum-v1", action_noise=0.1, learning_starts=0)
    observations = np.tile(np.array([1, 0, 0], np.float32), (N, 1))
    np.random.seed(0)  # SB3's noise is NumPy's
    found, calm = agent.explore(observations), agent.predict(observations)[0]
    assert found.shape == calm.shape and (found - calm).std() == pytest.approx(0.2, abs=0.01)  # of actions up to 2
    agent.sb3.action_noise = NormalActionNoise(np.full(1, 9.0), np.zeros(1))
    assert (agent.explore(observations) == 2).all()
    agent.sb3.learning_starts = 10
    assert agent.explore(observations).std() == pytest.approx(4 / np.sqrt(12), abs=0.03)  # uniform on [-2, 2]


def test_the_factor_multiplies_dqns_epsilon() -> None:
    agent: Any = make("dqn", "CartPole-v1", learning_starts=0)
    agent.sb3.exploration_rate = 0.2
    observation = np.zeros(4, np.float32)
    greedy = agent.predict(observation)[0]
    shares = [np.mean(actions(agent, factor, observation) != greedy) for factor in (0.0, 1.0, 2.0, 9.0)]
    assert shares == pytest.approx([0, 0.1, 0.2, 0.5], abs=0.03)  # half of the random actions are the greedy one


def test_before_it_learns_an_off_policy_algorithm_explores_at_random() -> None:
    agent = make("sac", "Pendulum-v1", learning_starts=10)
    observation = np.zeros(3, np.float32)
    assert actions(agent, 2.0, observation).std() == pytest.approx(4 / np.sqrt(12), abs=0.03)  # uniform on [-2, 2]
    assert actions(agent, 0.0, observation).std() < 1e-6


def test_acting_draws_nothing_that_training_would_draw() -> None:
    agent = make("ppo", "Pendulum-v1")
    state = torch.get_rng_state()
    actions(agent, 2.0, np.zeros(3, np.float32))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("algo", "options", "message"),
    [
        (
            "td3",
            {"learning_starts": 0},
            "TD3 has no noise that can be scaled; set agent.options.action_noise to a number",
        ),
        (
            "ppo",
            {"use_sde": True},
            "PPO explores by a StateDependentNoiseDistribution; set no use_sde, or leave query.sh",
        ),
        ("sac", {"use_sde": True}, "SAC has no noise that can be scaled"),
    ],
)
def test_exploration_that_cannot_be_scaled_is_refused_in_one_line(algo: str, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        actions(make(algo, "Pendulum-v1", **options), 2.0, np.zeros(3, np.float32))
    assert "\n" not in str(refused.value)
