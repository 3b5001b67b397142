"""Policies in files, as SB3 writes them, that need no learning."""

import pytest
import torch
from stable_baselines3 import PPO


@pytest.fixture(scope="session")
def balancing(tmp_path_factory):
    """Where a policy lies that holds CartPole's pole: right where it falls to the right."""
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, policy_kwargs={"net_arch": []})
    with torch.no_grad():
        model.policy.action_net.weight.copy_(torch.tensor([[0.0, 0, 0, 0], [0, 0, 1, 0.5]]))
        model.policy.action_net.bias.zero_()
    path = tmp_path_factory.mktemp("policies") / "balancing.zip"
    model.save(path)
    return path
