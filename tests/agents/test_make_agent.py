"""Agents by name, and what is wrong with a name, an option or an environment."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.vec_env import DummyVecEnv

from rlhf_gym.agents import OffPolicyAgent, OnPolicyAgent, load_algorithm, load_policy, make_agent
from rlhf_gym.registry import AGENTS


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


class Buttons(gymnasium.Env[Any, Any]):
    """An environment that takes several discrete actions at once."""

    observation_space = spaces.Box(0, 1, (2,), np.float32)
    action_space = spaces.MultiDiscrete([2, 3])


class Pictures(Buttons):
    observation_space = spaces.Dict({"eye": spaces.Box(0, 1, (2,))})  # type: ignore[assignment]


class Unbounded(Buttons):
    action_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)  # type: ignore[assignment]


def make(algo: str, env: Any = "CartPole-v1", **settings: Any) -> Any:
    venv = DummyVecEnv([(lambda: gymnasium.make(env)) if isinstance(env, str) else env])
    return make_agent(algo, venv, seed=0, total_timesteps=100, **settings)


@pytest.mark.parametrize(
    ("algo", "env_id", "kind", "sb3_class"),
    [
        ("ppo", "CartPole-v1", OnPolicyAgent, PPO),
        ("a2c", "Pendulum-v1", OnPolicyAgent, A2C),
        ("sac", "Pendulum-v1", OffPolicyAgent, SAC),
        ("td3", "Pendulum-v1", OffPolicyAgent, TD3),
        ("dqn", "CartPole-v1", OffPolicyAgent, DQN),
        ("stable_baselines3.ppo.ppo:PPO", "CartPole-v1", OnPolicyAgent, PPO),
    ],
)
def test_a_name_makes_the_agent_of_its_algorithm(algo: str, env_id: str, kind: type, sb3_class: type) -> None:
    agent = make(algo, env_id)
    assert type(agent) is kind and type(agent.sb3) is sb3_class


def test_every_registered_name_is_an_algorithm() -> None:
    assert {name: load_algorithm(name).__name__ for name in AGENTS} == {name: name.upper() for name in AGENTS}


def test_options_and_networks_are_handed_on() -> None:
    agent = make("ppo", "Pendulum-v1", net_arch=(5,), options={"gamma": 0.5, "n_steps": 64, "log_std_init": -1.0})
    assert (agent.sb3.gamma, agent.portion, agent.sb3.policy.log_std.item()) == (0.5, 64, -1.0)
    assert agent.sb3.policy.mlp_extractor.latent_dim_pi == 5
    assert make("sac", "Pendulum-v1").sb3.actor.latent_pi[0].out_features == 256  # SAC's own choice


@pytest.mark.parametrize(
    ("algo", "env", "settings", "message"),
    [
        ("pp0", "CartPole-v1", {}, "algo is 'pp0'; did you mean ppo?"),
        ("genetic", "CartPole-v1", {}, "algo is 'genetic'; expected one of ppo, a2c, dqn, sac, td3, or module:"),
        ("nowhere:PPO", "CartPole-v1", {}, "algo is 'nowhere:PPO' but there is no module 'nowhere'"),
        ("stable_baselines3:POP", "CartPole-v1", {}, "algo is 'stable_baselines3:POP' but"),
        ("builtins:dict", "CartPole-v1", {}, "algo is 'builtins:dict', which is no algorithm of Stable-Baselines3"),
        ("sac", "CartPole-v1", {}, "algo is sac, which can't take the actions Discrete(2); use ppo or a2c or dqn"),
        ("dqn", "Pendulum-v1", {}, "algo is dqn, which can't take the actions Box(-2.0, 2.0, (1,), float32); use "
         "ppo or a2c or sac or td3"),
        ("sac", Buttons, {}, "algo is sac, which can't take the actions MultiDiscrete([2 3]); use ppo or a2c"),
        ("ppo", Unbounded, {}, "algo is ppo, which can't take the actions Box(-inf, inf, (2,), float32); no"),
        ("ppo", "CartPole-v1", {"options": {"gama": 0.9}}, "algo PPO has no option gama; did you mean gamma?"),
        ("dqn", "CartPole-v1", {"options": {"clip_range": 0.9}}, "algo DQN has no option clip_range; it takes learn"),
        ("ppo", "CartPole-v1", {"options": {"seed": 1}}, "option seed of PPO can't be set: it is the run's; set seed"),
        ("ppo", "CartPole-v1", {"options": {"policy_kwargs": {}}}, "option policy_kwargs of PPO can't be set: set"),
        ("ppo", "CartPole-v1", {"options": {"batch_size": 1}}, "PPO refuses its options: `batch_size` must be greater"),
        ("dqn", "CartPole-v1", {"normalize_observations": True}, "normalize_observations is on and algo is dqn, whose"),
        ("dqn", "CartPole-v1", {"normalize_rewards": True}, "normalize_rewards is on and algo is dqn, which replays"),
        ("sac", "Pendulum-v1", {"critic_after_fit": "reset"}, "critic_after_fit is reset and algo is sac, which"),
        ("td3", "Pendulum-v1", {"return_statistics": "restart"}, "return_statistics is restart and algo is td3, which"),
        ("ppo", "Pendulum-v1", {"return_statistics": "restart"}, "return_statistics is restart and normalize"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(algo: str, env: Any, settings: Any, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        make(algo, env, **settings)
    assert str(raised.value).startswith(message) and "\n" not in str(raised.value)


def test_observations_of_several_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match=r"observations are Dict\(.*use an environment whose observation is one array"):
        make("ppo", Pictures)


# Policies in files


@pytest.mark.parametrize(("algo", "env_id"), [("a2c", "CartPole-v1"), ("dqn", "CartPole-v1"), ("td3", "Pendulum-v1")])
def test_a_policy_loads_by_its_algorithms_name(tmp_path: Path, algo: str, env_id: str) -> None:
    agent = make(algo, env_id)
    agent.save(tmp_path / "policy.zip")
    observations = np.random.default_rng(0).normal(size=(20, *agent.sb3.observation_space.shape)).astype(np.float32)
    loaded = load_policy(tmp_path / "policy.zip", algo)
    np.testing.assert_array_equal(loaded.predict(observations, deterministic=True)[0], agent.predict(observations)[0])


def test_a_file_that_holds_no_such_policy_is_refused_in_one_line(tmp_path: Path) -> None:
    make("ppo").save(tmp_path / "ppo.zip")
    (tmp_path / "torn.zip").write_bytes((tmp_path / "ppo.zip").read_bytes()[:999])
    for name, algo in (("ppo.zip", "dqn"), ("torn.zip", "ppo"), ("none.zip", "ppo")):
        with pytest.raises(ValueError, match=f"{name} can't be read: .*; use the directory of a whole run of {algo}"):
            load_policy(tmp_path / name, algo)


def test_the_state_of_another_algorithm_is_refused_in_one_line(tmp_path: Path) -> None:
    make("ppo").save_state(tmp_path)
    for other, env_id in (("dqn", "CartPole-v1"), ("ppo", "Pendulum-v1")):
        with pytest.raises(ValueError, match=rf"policy.zip can't be read as a policy of {other.upper()} here: [^\n]*$"):
            make(other, env_id).restore(tmp_path)


def test_an_empty_folder_holds_no_state(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"policy.zip can't be read as a policy of PPO here"):
        make("ppo").restore(tmp_path)
