"""Every registered algorithm keeps the agents' contract, and the contract sees one that doesn't."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import ReplayBuffer

from rlhf_gym.agents import OffPolicyAgent
from rlhf_gym.contracts import AGENT_RULES, check_agent, make_in_small_environments
from rlhf_gym.contracts.agents import (
    MakeAgent,
    explores_as_much_as_it_is_told,
    goes_on_from_its_state_in_place,
    learns_from_a_new_reward_at_once,
    leaves_a_policy_that_sb3_loads,
)
from rlhf_gym.registry import AGENTS

QUICK = {"ppo": {"n_steps": 32, "batch_size": 32, "n_epochs": 2}}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("rule", AGENT_RULES)
@pytest.mark.parametrize("algo", AGENTS)
def test_agent_keeps_the_contract(algo: str, rule: Callable[[MakeAgent], None]) -> None:
    rule(make_in_small_environments(algo, **QUICK.get(algo, {})))


@pytest.mark.parametrize(
    "rule", [goes_on_from_its_state_in_place, leaves_a_policy_that_sb3_loads, learns_from_a_new_reward_at_once]
)
@pytest.mark.parametrize("algo", ["ppo", "a2c"])
def test_an_agent_with_normalized_rewards_keeps_the_contract(algo: str, rule: Callable[[MakeAgent], None]) -> None:
    rule(make_in_small_environments(algo, normalize_rewards=True, **QUICK.get(algo, {})))


def test_td3_with_action_noise_explores_as_it_is_told() -> None:
    explores_as_much_as_it_is_told(make_in_small_environments("td3", action_noise=0.1, learning_starts=0))


def test_forgetting_the_statistics_of_returns_breaks_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlhf_gym.agents.on_policy.write_statistics", lambda venv, folder: None)
    with pytest.raises(AssertionError, match="the state is whole"):
        goes_on_from_its_state_in_place(make_in_small_environments("a2c", normalize_rewards=True))


def test_noise_drawn_from_elsewhere_breaks_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    monkeypatch.setattr("rlhf_gym.agents.exploring._normal", lambda _, like: rng.random(like.shape, np.float32))
    with pytest.raises(AssertionError, match="noise is drawn from rng"):
        explores_as_much_as_it_is_told(make_in_small_environments("td3", action_noise=0.1, learning_starts=0))


def test_a_dotted_name_is_held_against_the_same_rules() -> None:
    check_agent("stable_baselines3:DDPG")


def test_learning_from_stale_rewards_breaks_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OffPolicyAgent, "replay", property(lambda agent: agent.sb3.replay_buffer))
    monkeypatch.setattr("rlhf_gym.agents.off_policy.RelabelledReplay", ReplayBuffer)
    with pytest.raises(AssertionError, match=r"replayed steps are paid 7 too, not \[-1"):
        check_agent("dqn")


def test_forgetting_the_optimizer_breaks_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DQN, "_get_torch_save_params", lambda self: (["policy"], []))
    with pytest.raises(AssertionError, match="the state is whole"):
        check_agent("dqn")


def test_forgetting_the_replay_breaks_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlhf_gym.agents.off_policy.write_replay", lambda buffer, folder: None)
    with pytest.raises(AssertionError, match="the state is whole"):
        check_agent("dqn")
