"""What an agent keeps and what it logs."""

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlhf_gym.agents import OnPolicyAgent
from rlhf_gym.envs import VecLearnedReward

SMALL: dict[str, Any] = {"n_steps": 32, "batch_size": 32, "n_epochs": 1}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def make_agent(seed: int = 0) -> OnPolicyAgent:
    venv = VecLearnedReward(DummyVecEnv([lambda: gymnasium.make("CartPole-v1", max_episode_steps=10)] * 2))
    return OnPolicyAgent(PPO, venv, seed=seed, total_timesteps=1000, options=SMALL, normalize_observations=True)


def test_the_latest_episodes_and_the_statistics_come_back(tmp_path: Path) -> None:
    agent, other = make_agent(), make_agent(1)
    agent.improve(64)
    agent.save_state(tmp_path)
    episodes = list(agent.sb3.ep_info_buffer or ())
    assert len(episodes) >= 6 and episodes[0].keys() == {"r", "l"}
    assert json.loads((tmp_path / "episodes.json").read_text()) == episodes
    other.restore(tmp_path)
    assert list(other.sb3.ep_info_buffer or ()) == episodes
    assert other.sb3.policy.features_extractor.count == 64  # type: ignore[union-attr]
    for _ in range(20):  # only the last 100 are kept, as before
        other.improve(64)
    assert len(other.sb3.ep_info_buffer or ()) == 100


def test_a_checkpoint_that_sb3_alone_wrote_is_taken_up_with_its_counters(tmp_path: Path) -> None:
    agent, other = make_agent(), make_agent(1)
    agent.improve(128)
    agent.sb3.save(tmp_path / "policy.zip")  # as earlier versions did
    other.restore(tmp_path)
    assert (other.steps, other.sb3._n_updates) == (128, 2)
    weights = zip(agent.sb3.policy.state_dict().values(), other.sb3.policy.state_dict().values(), strict=True)
    assert all(torch.equal(one, another) for one, another in weights)
    other.improve(64)
    assert other.steps == 192


def test_a_restored_agent_begins_new_episodes_and_keeps_its_reward(tmp_path: Path) -> None:
    agent = make_agent()
    agent.pay(lambda obs, *_: np.full(len(obs), 2.0, np.float32))
    agent.improve(64)
    agent.save_state(tmp_path)
    venv, resets = agent.sb3.env, []
    assert venv
    reset = venv.reset
    venv.reset = lambda: resets.append(1) or reset()  # type: ignore[method-assign, func-returns-value]
    agent.restore(tmp_path)
    agent.improve(64)
    assert resets == [1]
    assert np.median(agent.sb3.rollout_buffer.rewards) == 2.0


def logged(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder)).Reload()  # type: ignore[no-untyped-call]
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_figures_are_logged_with_sb3s_own_means_of_the_last_episodes(tmp_path: Path) -> None:
    agent = make_agent()
    agent.log_to(tmp_path)
    agent.improve(64)
    agent.log({"rlhf/labels": 7, "rlhf/reward_loss": 0.5}, 64)
    agent.close()
    found = logged(tmp_path)
    lengths = [episode["l"] for episode in agent.sb3.ep_info_buffer or ()]
    assert found["rlhf/labels"] == [(64, 7.0)] and found["rlhf/reward_loss"] == [(64, 0.5)]
    assert found["rollout/ep_len_mean"] == [(64, pytest.approx(np.mean(lengths)))]
    assert found["rollout/ep_rew_mean"] == [(64, pytest.approx(np.mean(lengths)))]  # CartPole pays 1 a step


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    agent = make_agent()
    agent.improve(64)
    agent.log({"rlhf/labels": 7}, 64)
    assert list(tmp_path.iterdir()) == []
