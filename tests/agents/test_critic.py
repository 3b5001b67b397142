"""The value function after the reward function has changed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO

from rlhf_gym.agents import OnPolicyAgent
from rlhf_gym.agents.critic import CHANGES, CriticAfterFit, Paid, affine, check_critic, lambda_returns
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.segments import Array, Ending, Origin, Trajectory

SMALL: dict[str, Any] = {"n_steps": 64, "batch_size": 32, "n_epochs": 2, "gamma": 0.9, "learning_rate": 1e-3}
CHANGED: list[CriticAfterFit] = ["rescale", "reset", "warm_up"]


def paid(rewards: Sequence[float], *, terminated: bool) -> Paid:
    return Paid(np.zeros((len(rewards) + 1, 1)), np.array(rewards), terminated)


# The arithmetic


def test_the_affine_change_makes_values_the_new_rewards_returns() -> None:
    # Discounted by 1/2, rewards 1, 2, 4 give returns 1 + (2 + 4/2)/2 = 3, 4, 4; so do 2 V + 1 and V = 1, 1.5, 1.5.
    episode = paid([1, 2, 4], terminated=True)
    assert affine([np.array([1, 1.5, 1.5, 77])], [episode], 0.5) == pytest.approx((2, 1))


def test_beyond_a_time_limit_the_return_is_the_changed_value_itself() -> None:
    # With a = 2, b = 1: V = 4 is worth 9 at the end, so a reward of 0.5 leads to 0.5 + 9/2 = 5 = 2 * 2 + 1,
    # and one of 1.5 before that to 1.5 + 5/2 = 4 = 2 * 1.5 + 1.
    episode = paid([1.5, 0.5], terminated=False)
    assert affine([np.array([1.5, 2, 4])], [episode], 0.5) == pytest.approx((2, 1))


def test_the_affine_change_is_the_least_squares_one() -> None:
    # Returns 0, 1, 1 (each a last step) at V = 0, 1, 2: slope 1/2, through the mean (1, 2/3).
    episodes = [paid([r], terminated=True) for r in (0.0, 1.0, 1.0)]
    assert affine([np.array([v, 5.0]) for v in (0.0, 1.0, 2.0)], episodes, 0.9) == pytest.approx((1 / 2, 1 / 6))


def test_lambda_returns_mix_values_and_returns() -> None:
    # gamma = lambda = 1/2, V = 0, 8, 4, 16, rewards 1, 2, 3. The last step: 3 + 16/2 = 11, or 3 where it terminates;
    # before it, 2 + (4/2 + 11/2)/2 = 5.75 or 3.75; at first 1 + (8/2 + 5.75/2)/2 = 4.4375 or 3.9375.
    values = [np.array([0.0, 8, 4, 16])]
    assert lambda_returns(values, [paid([1, 2, 3], terminated=False)], 0.5, 0.5)[0] == pytest.approx([4.4375, 5.75, 11])
    assert lambda_returns(values, [paid([1, 2, 3], terminated=True)], 0.5, 0.5)[0] == pytest.approx([3.9375, 3.75, 3])


def test_lambda_1_is_the_discounted_return() -> None:
    found = lambda_returns([np.array([5.0, 5, 5, 8])], [paid([1, 2, 3], terminated=False)], 0.5, 1.0)
    assert found[0] == pytest.approx([1 + (2 + 7 / 2) / 2, 2 + 7 / 2, 7])


# The agents


def trained(sb3_class: Any = PPO, change: CriticAfterFit = "keep", **settings: Any) -> tuple[OnPolicyAgent, Any]:
    """An agent after two rollouts on one reward, and the trajectories; it is now paid another."""
    torch.set_num_threads(1)
    recorder = make_vec_env(Origin("Pendulum-v1", 0), n_envs=2, memory_steps=256, rng=np.random.default_rng(0))
    options = SMALL if sb3_class is PPO else {"gamma": 0.9}
    agent = OnPolicyAgent(
        sb3_class,
        VecLearnedReward(recorder, lambda o, *_: o[:, 0]),
        seed=0,
        total_timesteps=999,
        net_arch=(16,),
        normalize_observations=True,
        critic_after_fit=change,
        options=options,
        **settings,
    )
    agent.improve(128 // agent.portion * agent.portion)
    agent.pay(lambda o, *_: 7 - 3 * o[:, 0])
    return agent, recorder.trajectories()


def acted(agent: OnPolicyAgent, observations: Array) -> list[Array]:
    """What it does with and without exploring."""
    noise = np.ones(len(observations), np.float32)
    return [agent.act(observations, noise, rng=np.random.default_rng(0)), agent.predict(observations)[0]]


def is_value(name: str) -> bool:
    return "value_net" in name


@pytest.mark.parametrize("sb3_class", [PPO, A2C])
@pytest.mark.parametrize("change", CHANGED)
def test_only_the_value_function_changes(change: CriticAfterFit, sb3_class: Any) -> None:
    agent, trajectories = trained(sb3_class, change)
    policy: Any = agent.sb3.policy
    observations = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    moments = {
        parameter: {name: value.clone() for name, value in policy.optimizer.state[parameter].items()}
        for name, parameter in policy.named_parameters()
        if not is_value(name)
    }
    act = [
        agent.act(observations, np.ones(50, np.float32), rng=np.random.default_rng(0)),
        agent.predict(observations)[0],
    ]
    agent.reward_changed(trajectories)
    changed = {name for name, value in policy.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(is_value(name) for name in changed)
    again = [
        agent.act(observations, np.ones(50, np.float32), rng=np.random.default_rng(0)),
        agent.predict(observations)[0],
    ]
    np.testing.assert_array_equal(act, again)
    for parameter, kept in moments.items():
        assert all(torch.equal(policy.optimizer.state[parameter][name], value) for name, value in kept.items())
    agent.improve(agent.portion)
    assert all(value.isfinite().all() for value in policy.state_dict().values())


def error(agent: OnPolicyAgent, trajectories: Sequence[Trajectory]) -> float:
    """Mean squared distance of V from what the new reward pays from there on, and V at the end."""
    policy: Any = agent.sb3.policy
    squares: list[Array] = []
    for t in trajectories:
        v = policy.predict_values(torch.from_numpy(t.observations)).detach().numpy().ravel().astype(np.float64)
        rewards = 7 - 3 * t.observations[:-1, 0]
        squares.append((lambda_returns([v], [Paid(t.observations, rewards, False)], 0.9, 1.0)[0] - v[:-1]) ** 2)
    return float(np.concatenate(squares).mean())


def test_the_changed_value_function_fits_the_new_reward_better_and_the_warmed_up_one_best() -> None:
    errors = []
    for change in ("keep", "rescale", "warm_up"):
        agent, trajectories = trained(change=change)
        agent.reward_changed(trajectories)
        errors.append(error(agent, trajectories))
    assert errors[0] > 2 * errors[1] and errors[1] > errors[2]


def test_rescaled_values_are_an_affine_function_of_what_they_were() -> None:
    agent, trajectories = trained(change="rescale")
    policy: Any = agent.sb3.policy
    observations = torch.from_numpy(np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32))
    before = policy.predict_values(observations).detach().numpy().ravel()
    agent.reward_changed(trajectories)
    after = policy.predict_values(observations).detach().numpy().ravel()
    assert abs(np.corrcoef(before, after)[0, 1]) == pytest.approx(1, abs=1e-4)
    assert after.mean() == pytest.approx(70, abs=30)  # a reward of 7 on average, for ten steps


def test_a_reset_value_function_has_no_moments_and_orthogonal_layers() -> None:
    agent, trajectories = trained(change="reset")
    agent.reward_changed(trajectories)
    policy: Any = agent.sb3.policy
    assert all(parameter not in policy.optimizer.state for parameter in policy.value_net.parameters())
    assert policy.value_net.weight.norm().item() == pytest.approx(1)  # SB3's gain of the head
    assert policy.value_net.bias.item() == 0
    first = policy.mlp_extractor.value_net[0].weight
    torch.testing.assert_close(first.T @ first, 2 * torch.eye(3))  # and the square of its gain of hidden layers


def test_kept_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, trajectories = trained()
    before = [value.clone() for value in agent.sb3.policy.state_dict().values()]
    agent.reward_changed(trajectories)
    assert all(map(torch.equal, before, agent.sb3.policy.state_dict().values()))


@pytest.mark.parametrize("change", CHANGED)
def test_the_value_function_sees_normalized_rewards_where_ppo_is_paid_those(
    change: CriticAfterFit, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, trajectories = trained(change=change, normalize_rewards=True)
    statistics: Any = agent.sb3.get_vec_normalize_env()
    statistics.ret_rms.var = np.array(4.0)
    seen: list[Paid] = []
    agent._change = lambda sb3, paid, rng: seen.extend(paid)
    agent.reward_changed(trajectories)
    for t, p in zip(trajectories, seen, strict=True):
        np.testing.assert_allclose(p.rewards, (7 - 3 * t.observations[:-1, 0]) / 2, rtol=1e-5)


def test_without_trajectories_nothing_changes() -> None:
    agent, _ = trained(change="rescale")
    agent.reward_changed([])


def test_an_algorithm_without_a_value_network_is_refused_in_one_line() -> None:
    agent, _ = trained()
    agent.sb3.policy.value_net = torch.nn.Identity()  # type: ignore[assignment]
    with pytest.raises(ValueError, match="critic_after_fit is set and PPO has no value network; use keep"):
        check_critic(agent.sb3)


def test_a_termination_is_told_from_a_time_limit() -> None:
    agent, _ = trained(change="rescale")
    seen: list[Paid] = []
    agent._change = lambda sb3, paid, rng: seen.extend(paid)
    agent.pay(lambda o, a, n, terminated: terminated.astype(np.float32))
    zeros = (np.zeros((4, 3), np.float32), np.zeros((3, 1), np.float32), np.zeros(3, np.float32))
    agent.reward_changed([Trajectory(*zeros, ending) for ending in (Ending.TERMINATED, Ending.TRUNCATED)])
    assert [(p.rewards.tolist(), p.terminated) for p in seen] == [([0, 0, 1], True), ([0, 0, 0], False)]


def test_every_setting_is_a_change_or_keep() -> None:
    assert set(CHANGES) == set(CHANGED)
