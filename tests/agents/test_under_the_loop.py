"""Off-policy agents under the main loop, which knows no algorithm."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, SAC

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.agents import OffPolicyAgent
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.evaluation import mean_return, play
from rlhf_gym.segments import Array, Origin

OPTIONS: dict[str, Any] = {"learning_starts": 100, "buffer_size": 1000, "batch_size": 16, "train_freq": 8}


@pytest.fixture(params=[("CartPole-v1", "dqn"), ("Pendulum-v1", "sac")], ids=["dqn", "sac"])
def rlhf(request: pytest.FixtureRequest) -> Iterator[RLHF]:
    env_id, algo = request.param
    config = RLHFConfig(env_id=env_id, algo=algo, labels=12, segment_length=10).replace(
        total_timesteps=1000,
        query={"rounds": 3, "warm_up_steps": 100},
        agent={"n_envs": 2, "net_arch": [16], "options": OPTIONS},
    )
    with closing(RLHF(config)) as made:
        yield made


def test_every_round_replays_what_its_own_reward_model_pays(rlhf: RLHF) -> None:
    agent = rlhf.agent
    assert isinstance(agent, OffPolicyAgent)
    probe = np.arange(50) % agent.replay.buffer_size
    paid = []
    for _ in rlhf.rounds():
        samples = agent.replay._get_samples(probe)
        actions = samples.actions.numpy()[:, 0] if rlhf.config.algo == "dqn" else 2 * samples.actions.numpy()
        pay = rlhf.method.learner.model.reward_function()
        ended = samples.dones.numpy()[:, 0] > 0
        rewards = pay(samples.observations.numpy(), actions, samples.next_observations.numpy(), ended)
        np.testing.assert_allclose(samples.rewards[:, 0], rewards, rtol=1e-4, atol=1e-5)
        paid.append(float(samples.rewards.mean()))
    assert rlhf.labels == 12 and agent.steps == 896 and len(set(paid)) == 3


def test_a_foreign_agent_is_not_slipped_under_the_loop_unnoticed(rlhf: RLHF, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign: Any = (DQN if rlhf.config.algo == "dqn" else SAC)("MlpPolicy", rlhf.venv)
    with pytest.raises(AttributeError, match="agent"):
        rlhf.agent = foreign
    monkeypatch.setattr(rlhf.method, "agent", foreign)
    with pytest.raises(AttributeError):
        rlhf.improve(16)


def pendulum_reward(obs: Array, act: Array, *_: Array) -> Array:
    return np.asarray(-(np.arctan2(obs[:, 1], obs[:, 0]) ** 2 + 0.1 * obs[:, 2] ** 2 + 0.001 * act[:, 0] ** 2))


@pytest.mark.slow
@pytest.mark.parametrize("relabelled", [True, False])
def test_sac_unlearns_a_wrong_reward_if_its_replay_is_relabelled(relabelled: bool) -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    venv = VecLearnedReward(make_vec_env(Origin("Pendulum-v1", 0), n_envs=1, memory_steps=10, rng=rng))
    agent = OffPolicyAgent(SAC, venv, seed=0, total_timesteps=5000, net_arch=(64, 64), options={"learning_rate": 1e-3})
    agent.pay(lambda *step: -pendulum_reward(*step))
    agent.improve(2000)
    agent.pay(pendulum_reward)
    if not relabelled:
        agent.replay.reward_function = None
    agent.improve(3000)
    mean = mean_return(play(agent.predict, "Pendulum-v1", seed=3, n_episodes=10))
    assert mean > -500 if relabelled else mean < -1000  # at random about -1200
