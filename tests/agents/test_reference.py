"""Staying close to a reference policy: what a nat costs, and what that does to PPO and A2C."""

import math
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

from rlhf_gym.agents import OnPolicyAgent, make_agent
from rlhf_gym.agents.reference import FILE, Closeness, Reference
from rlhf_gym.agents.staying import charge

SMALL: dict[str, Any] = {"n_steps": 16, "batch_size": 16, "n_epochs": 2, "learning_rate": 0.01}
EACH = [("CartPole-v1", PPO, SMALL), ("Pendulum-v1", PPO, SMALL), ("CartPole-v1", A2C, {})]


def agent_of(env_id: str, sb3_class: Any = PPO, options: Any = SMALL, **settings: Any) -> OnPolicyAgent:
    """Make an agent in environments that are soon cut off."""
    torch.set_num_threads(1)
    venv = DummyVecEnv([lambda: gymnasium.make(env_id, max_episode_steps=7)] * 2)
    venv.seed(5)
    return OnPolicyAgent(sb3_class, venv, seed=0, total_timesteps=999, options=options, **settings)


def after(steps: int, *args: Any, **settings: Any) -> OnPolicyAgent:
    agent = agent_of(*args, **settings)
    agent.improve(steps // agent.portion * agent.portion)
    return agent


def everywhere(env_id: str, bias: list[float], log_std: list[float] | None = None) -> Any:
    """Make a policy that acts by the same distribution wherever it is."""
    policy: Any = PPO("MlpPolicy", env_id, n_steps=8, batch_size=8, policy_kwargs={"net_arch": []}).policy
    with torch.no_grad():
        policy.action_net.weight.zero_()
        policy.action_net.bias.copy_(torch.tensor(bias))
        if log_std is not None:
            policy.log_std.copy_(torch.tensor(log_std))
    return policy


# The divergence


def test_the_divergence_of_two_categoricals_is_that_by_hand() -> None:
    ours = everywhere("CartPole-v1", [0.0, 0.0])
    theirs = Reference(everywhere("CartPole-v1", [math.log(0.9), math.log(0.1)]), Closeness(1.0))
    nats, ratios = theirs.compare(ours, np.zeros((2, 4), np.float32), np.array([[0], [1]]))
    np.testing.assert_allclose(nats, [0.5 * math.log(5 / 9) + 0.5 * math.log(5)] * 2, rtol=1e-5)
    np.testing.assert_allclose(ratios, [math.log(5 / 9), math.log(5)], rtol=1e-5)


def test_the_divergence_of_two_diagonal_gaussians_is_that_by_hand() -> None:
    # Of each dimension log(s2 / s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2; the second is the same in both.
    ours = everywhere("Reacher-v5", [1.0, 0.0], [0.0, 0.0])
    theirs = Reference(everywhere("Reacher-v5", [0.0, 0.0], [math.log(2), 0.0]), Closeness(1.0))
    nats, ratios = theirs.compare(ours, np.zeros((1, 10), np.float32), np.array([[3.0, 1.0]], np.float32))
    np.testing.assert_allclose(nats, [math.log(2) + (1 + 1) / 8 - 0.5], rtol=1e-5)
    np.testing.assert_allclose(ratios, [-2 + math.log(2) + 9 / 8], rtol=1e-5)  # log N(3; 1, 1) - log N(3; 0, 2)


# What it does to a rollout


@pytest.mark.parametrize(("env_id", "sb3_class", "options"), EACH)
def test_with_beta_0_it_is_the_plain_algorithm_bit_for_bit(env_id: str, sb3_class: Any, options: Any) -> None:
    plain, close = (after(64, env_id, sb3_class, options, closeness=c) for c in (None, Closeness(0.0)))
    for name, weight in plain.sb3.policy.state_dict().items():
        assert torch.equal(weight, close.sb3.policy.state_dict()[name]), name
    assert close.pop_figures()["reference_kl"] > 0 and plain.pop_figures() == {}


@pytest.mark.parametrize(("env_id", "sb3_class", "options"), EACH)
def test_with_beta_it_learns_something_else(env_id: str, sb3_class: Any, options: Any) -> None:
    plain, close = (after(64, env_id, sb3_class, options, closeness=c) for c in (None, Closeness(1.0)))
    assert not torch.equal(plain.sb3.policy.action_net.weight, close.sb3.policy.action_net.weight)


def test_a_rollout_s_rewards_lose_beta_nats_and_keep_what_a_time_limit_cut_off() -> None:
    plain = after(32, "CartPole-v1")
    close = agent_of("CartPole-v1", closeness=Closeness(0.5))  # which seeds what actions are drawn from again
    assert close.reference
    with torch.no_grad():
        close.reference.policy.action_net.bias.copy_(torch.tensor([1.0, 0.0]))
    first = deepcopy(close.sb3.policy)  # acts in the rollout
    close.improve(32)
    ours, theirs = close.sb3.rollout_buffer, plain.sb3.rollout_buffer
    assert (theirs.rewards != 1).sum() == 4  # 1 and the discounted value of the state after a cut
    states = ours.observations.reshape(16, 2, 4, order="F")  # SB3 has put them in a row, environment by environment
    nats, _ = close.reference.compare(first, states.reshape(-1, 4), np.zeros((32, 1)))  # type: ignore[arg-type]
    assert nats.min() > 0.05
    np.testing.assert_allclose(ours.rewards, theirs.rewards - 0.5 * nats.reshape(16, 2), rtol=1e-5)


def test_returns_have_the_divergence_and_an_action_s_advantage_its_own_ratio_besides() -> None:
    buffer = RolloutBuffer(2, spaces.Box(-1, 1, (4,)), spaces.Discrete(2), "cpu", gae_lambda=1.0, gamma=0.5)
    zero = np.zeros((1, 4), np.float32)
    for action, value in ((0, 1.0), (1, 2.0)):
        buffer.add(zero, np.array([[action]]), np.ones(1), np.zeros(1), torch.tensor([value]), torch.zeros(1))
    last = {"values": torch.tensor([4.0]), "dones": np.array([False])}
    other = Reference(everywhere("CartPole-v1", [math.log(0.9), math.log(0.1)]), Closeness(0.1))
    charge(buffer, everywhere("CartPole-v1", [0.0, 0.0]), other, last)
    nats = 0.5 * math.log(5 / 9) + 0.5 * math.log(5)
    paid = 1 - 0.1 * nats
    np.testing.assert_allclose(buffer.rewards[:, 0], [paid, paid], rtol=1e-5)
    # Of the last state 4 is known: the return of the second step is paid + 2, of the first paid + (paid + 2) / 2.
    np.testing.assert_allclose(buffer.returns[:, 0], [1.5 * paid + 1, paid + 2], rtol=1e-5)
    ratios = np.array([math.log(5 / 9), math.log(5)])
    wanted = np.array([1.5 * paid + 1 - 1, paid + 2 - 2]) - 0.1 * (ratios - nats)
    np.testing.assert_allclose(buffer.advantages[:, 0], wanted, rtol=1e-5)


class OneStep(gymnasium.Env[Any, Any]):
    """Action 1 pays, and all is over."""

    observation_space = spaces.Box(-1, 1, (1,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        return np.zeros(1, np.float32), float(action), True, False, {}


@pytest.mark.parametrize("sb3_class", [PPO, A2C])
def test_it_finds_the_policy_that_is_best_at_that_price(sb3_class: Any) -> None:
    """That is proportional to reference(a) exp(r(a) / beta): from 1/2 each, e / (1 + e) where r / beta is 1."""
    options = {"n_steps": 16, "learning_rate": 0.1, "max_grad_norm": 10.0, "normalize_advantage": False}
    options |= {"batch_size": 128, "n_epochs": 2} if sb3_class is PPO else {"use_rms_prop": False}
    made = OnPolicyAgent(
        sb3_class,
        DummyVecEnv([OneStep] * 8),
        seed=0,
        total_timesteps=128 * 40,
        net_arch=(),
        schedule="linear",
        options=options,
        closeness=Closeness(1.0),
    )
    assert made.reference
    with torch.no_grad():
        made.reference.policy.action_net.bias.zero_()
        made.sb3.policy.action_net.bias.copy_(torch.tensor([2.0, 0.0]))  # type: ignore[operator, union-attr]
    made.improve(128 * 40)
    policy: Any = made.sb3.policy
    found = policy.get_distribution(torch.zeros(1, 1)).distribution.probs[0, 1].item()
    assert found == pytest.approx(math.e / (1 + math.e), abs=0.05)


# Beta


@pytest.mark.parametrize(
    ("nats", "wanted"), [(0.1, 0.5 * 1.02), (0.011, 0.5 * 1.01), (0.01, 0.5), (0.009, 0.5 * 0.99), (0.0, 0.5 * 0.98)]
)
def test_beta_rises_above_the_target_and_falls_below_by_a_tenth_of_the_error_at_most_2_percent(
    nats: float, wanted: float
) -> None:
    reference = Reference(everywhere("CartPole-v1", [0.0, 0.0]), Closeness(0.5, target=0.01, gain=0.1))
    reference.adapt(nats)
    assert reference.beta == pytest.approx(wanted)


def test_an_adapted_beta_comes_back_soon_however_long_the_policy_stayed_close() -> None:
    reference = Reference(everywhere("CartPole-v1", [0.0, 0.0]), Closeness(target=0.05))
    for _ in range(20_000):
        reference.adapt(0.0)
    assert reference.beta == pytest.approx(0.1 / 1000)
    for _ in range(20_000):
        reference.adapt(1.0)
    assert reference.beta == pytest.approx(0.1 * 1000)


def test_beta_stays_without_a_target_and_starts_at_a_tenth_with_one() -> None:
    policy = everywhere("CartPole-v1", [0.0, 0.0])
    fixed, adapted = Reference(policy, Closeness(0.5)), Reference(policy, Closeness(target=0.01))
    fixed.adapt(3.0)
    assert (fixed.beta, adapted.beta) == (0.5, 0.1)


def test_with_a_target_it_strays_less() -> None:
    found = []
    for closeness in (Closeness(0.0), Closeness(target=0.02)):
        agent = after(32 * 10, "CartPole-v1", closeness=closeness)
        agent.pop_figures()
        agent.improve(32 * 10)
        found.append(agent.pop_figures())
    free, held = found
    assert held["reference_kl"] < free["reference_kl"] / 4 and held["kl_beta"] > 0.1


# Kept


def test_reference_and_beta_are_kept_and_taken_up(tmp_path: Any) -> None:
    settings: dict[str, Any] = {"closeness": Closeness(target=0.01), "normalize_observations": True}
    made = after(64, "Pendulum-v1", **settings)
    made.save_state(tmp_path)
    other = agent_of("Pendulum-v1", **settings)
    assert made.reference and other.reference
    with torch.no_grad():
        other.reference.policy.action_net.bias.add_(1.0)
    other.restore(tmp_path)
    assert other.reference.beta == made.reference.beta != 0.1
    for name, weight in made.reference.policy.state_dict().items():
        assert torch.equal(weight, other.reference.policy.state_dict()[name]), name
    (tmp_path / FILE).unlink()
    with pytest.raises(ValueError, match=f"{FILE} can't be read as the reference of this policy: .*; bring it back"):
        other.restore(tmp_path)


def test_the_reference_stays_as_it_was_while_the_policy_learns() -> None:
    made = agent_of("CartPole-v1", closeness=Closeness(0.1), normalize_observations=True)
    before = {name: weight.clone() for name, weight in made.sb3.policy.state_dict().items()}
    made.improve(64)
    assert made.reference
    for name, weight in made.reference.policy.state_dict().items():
        assert torch.equal(weight, before[name]), name
    assert not torch.equal(made.sb3.policy.state_dict()["action_net.bias"], before["action_net.bias"])


# What is refused


def test_a_divergence_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="acts by a StateDependentNoiseDistribution; use PPO or A2C with"):
        agent_of("Pendulum-v1", options={**SMALL, "use_sde": True}, closeness=Closeness(0.1))


def test_an_off_policy_algorithm_is_refused() -> None:
    venv = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")])
    with pytest.raises(ValueError, match="kl is set and algo is dqn, which is not on-policy; use ppo or a2c, or no kl"):
        make_agent("dqn", venv, seed=0, total_timesteps=99, closeness=Closeness(0.1))
