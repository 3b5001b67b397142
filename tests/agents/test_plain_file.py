"""A policy's file that needs Stable-Baselines3 alone does what the run's own policy does."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from rlhf_gym.agents import OnPolicyAgent, write_plain
from rlhf_gym.cli import main
from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput

ALONE = """
import sys
sys.modules["rlhf_gym"] = None
import numpy as np, gymnasium
from stable_baselines3 import PPO
policy = PPO.load(sys.argv[1], device="cpu")
print(policy.n_steps, policy.predict(np.load(sys.argv[2]), deterministic=True)[0].tolist())
policy.set_env(gymnasium.make(sys.argv[3]))
policy.learn(policy.n_steps)
"""


class Shifted(gymnasium.Env):
    """Observes numbers of very different sizes, one of which never changes."""

    observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float64)

    def __init__(self, action_space, where=1.0):
        self.action_space, self.where = action_space, where

    def observed(self):
        return self.np_random.normal([0, 50, -0.001, 0.1], [1, 5, 0.0001, 0]) + [0, self.where, 0, 0]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observed(), {}

    def step(self, action):
        return self.observed(), float(np.sum(action)), False, self.np_random.random() < 0.1, {}


def agent_in(action_space, *, where=1.0, **settings):
    venv = DummyVecEnv([lambda: Shifted(action_space, where)])
    agent = OnPolicyAgent(PPO, venv, seed=0, total_timesteps=128, normalize_observations=True, **settings)
    agent.improve(128)
    return agent


SETTINGS = {"options": {"n_steps": 64, "batch_size": 64, "n_epochs": 2}}


@pytest.mark.parametrize("action_space", [spaces.Discrete(3), spaces.Box(-1, 1, (2,))], ids=["Discrete", "Box"])
@pytest.mark.parametrize("net_arch", [(16, 16), ()], ids=["layers", "no layers"])
def test_normalisation_goes_into_the_weights(tmp_path, action_space, net_arch):
    agent = agent_in(action_space, net_arch=net_arch, **SETTINGS)
    observations = np.stack([Shifted(action_space).reset(seed=i)[0] for i in range(50)])
    wanted = outputs(agent.sb3, observations)
    assert write_plain(agent.sb3, tmp_path / "plain.zip")
    found = outputs(PPO.load(tmp_path / "plain.zip", device="cpu"), observations)
    assert np.abs(found - wanted).max() < 2e-4 and np.abs(wanted).max() > 0.05


def outputs(sb3, observations):
    with torch.no_grad():
        tensor = sb3.policy.obs_to_tensor(observations)[0]
        distribution = sb3.policy.get_distribution(tensor).distribution
        chosen = distribution.logits if hasattr(distribution, "logits") else distribution.mean
        return torch.cat([chosen, sb3.policy.predict_values(tensor)], dim=1).numpy()


def test_what_the_weights_can_not_hold_is_refused(tmp_path):
    agent = agent_in(spaces.Discrete(3), **SETTINGS)
    extractor = agent.sb3.policy.features_extractor
    extractor.mean.fill_(1e6)
    extractor.variance.fill_(4.0)
    with pytest.raises(BadInput, match="outputs that differ by .*: observations change too little beside their size"):
        write_plain(agent.sb3, tmp_path / "plain.zip")
    assert not (tmp_path / "plain.zip").exists()


def test_a_policy_without_statistics_is_written_as_it_is(tmp_path):
    agent = OnPolicyAgent(PPO, DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]), seed=0, total_timesteps=512)
    assert not write_plain(agent.sb3, tmp_path / "plain.zip")
    observations = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    assert np.array_equal(outputs(PPO.load(tmp_path / "plain.zip"), observations), outputs(agent.sb3, observations))


def test_the_policy_of_a_run_is_exported_for_whoever_has_stable_baselines3_alone(tmp_path, capsys):
    from rlhf_gym import RLHF

    options = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
    config = RLHFConfig.from_dict({
        "env_id": "CartPole-v1", "labels": 4, "total_timesteps": 400, "segment_length": 5, "run_dir": f"{tmp_path}/run",
        "query": {"warm_up_steps": 64, "rounds": 1}, "reward": {"steps": 1}, "agent": {"n_envs": 1, "options": options},
        "evaluation": {"n_episodes": 1},
    })  # fmt: skip
    rlhf = RLHF(config)
    rlhf.learn()
    rlhf.close()
    file, seen = tmp_path / "out" / "plain.zip", tmp_path / "seen.npy"
    assert main(["export", str(tmp_path / "run"), "--policy", str(file)]) == 0
    assert f"PPO.load({str(file)!r})" in capsys.readouterr().out
    np.save(seen, np.random.default_rng(0).uniform(-0.1, 0.1, (20, 4)).astype(np.float32))
    said = subprocess.run(
        [sys.executable, "-c", ALONE, file, seen, "CartPole-v1"], capture_output=True, text=True, check=True
    )
    assert said.stdout == f"32 {rlhf.predict(np.load(seen))[0].tolist()}\n" and said.stderr == ""
    assert main(["export", str(tmp_path / "run"), "--policy", str(file)]) == 2
    assert "name a new file that ends in .zip" in capsys.readouterr().err
