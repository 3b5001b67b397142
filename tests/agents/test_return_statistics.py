"""Running statistics of returns, by which what PPO is paid is divided."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.vec_env import VecNormalize

from rlhf_gym.agents import OnPolicyAgent
from rlhf_gym.agents.return_statistics import restart_statistics
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.segments import Origin, Trajectory


def agent(sb3_class: Any = PPO, seed: int = 0, **settings: Any) -> tuple[OnPolicyAgent, VecNormalize]:
    torch.set_num_threads(1)
    recorder = make_vec_env(Origin("CartPole-v1", 0), n_envs=2, memory_steps=200, rng=np.random.default_rng(0))
    venv = VecLearnedReward(recorder, lambda o, *_: 1 + o[:, 0])
    options: dict[str, Any] = {"n_steps": 32, "gamma": 0.5} | ({"batch_size": 32} if sb3_class is PPO else {})
    settings = {"normalize_rewards": True, "net_arch": (8,), "options": options} | settings
    made = OnPolicyAgent(sb3_class, venv, seed=seed, total_timesteps=999, **settings)
    statistics = made.sb3.get_vec_normalize_env()
    assert statistics is not None
    return made, statistics


def figures(statistics: VecNormalize) -> tuple[float, ...]:
    return float(statistics.ret_rms.mean), float(statistics.ret_rms.var), float(statistics.ret_rms.count)


@pytest.mark.parametrize("sb3_class", [PPO, A2C])
def test_they_come_back_as_they_were_from_plain_json(tmp_path: Path, sb3_class: Any) -> None:
    one, statistics = agent(sb3_class)
    one.improve(64)
    one.save_state(tmp_path)
    written = json.loads((tmp_path / "return_statistics.json").read_text())
    assert tuple(written.values()) == figures(statistics) and written["count"] == pytest.approx(64, abs=0.01)
    other, restored = agent(sb3_class, seed=1)
    other.restore(tmp_path)
    assert figures(restored) == figures(statistics)
    other.improve(64)
    assert restored.ret_rms.count == pytest.approx(128, abs=0.01)


def test_the_saved_policy_has_them_beside_it_and_loads_without(tmp_path: Path) -> None:
    one, statistics = agent()
    one.improve(64)
    one.save(tmp_path / "policy.zip")
    assert json.loads((tmp_path / "return_statistics.json").read_text())["var"] == figures(statistics)[1]
    observations = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    loaded = PPO.load(tmp_path / "policy.zip", device="cpu")
    assert loaded.get_vec_normalize_env() is None
    np.testing.assert_array_equal(loaded.predict(observations, deterministic=True)[0], one.predict(observations)[0])


def test_without_normalized_rewards_there_is_no_such_file(tmp_path: Path) -> None:
    venv = VecLearnedReward(
        make_vec_env(Origin("CartPole-v1", 0), n_envs=1, memory_steps=9, rng=np.random.default_rng(0))
    )
    OnPolicyAgent(A2C, venv, seed=0, total_timesteps=99).save_state(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["episodes.json", "policy.zip", "running.json"]


def test_a_checkpoint_without_them_begins_them_anew(tmp_path: Path) -> None:
    one, statistics = agent()
    one.improve(64)
    one.save_state(tmp_path)
    (tmp_path / "return_statistics.json").unlink()
    other, fresh = agent(seed=1)
    other.restore(tmp_path)
    assert figures(fresh) == (0, 1, pytest.approx(0, abs=1e-3))


@pytest.mark.parametrize("damage", ["{", "{}", '{"mean": null, "var": 1, "count": 2}'])
def test_damaged_ones_are_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    one, _ = agent()
    one.save_state(tmp_path)
    (tmp_path / "return_statistics.json").write_text(damage)
    with pytest.raises(ValueError, match=r"return_statistics.json is damaged \(.*\); expected mean") as refused:
        one.restore(tmp_path)
    assert "\n" not in str(refused.value)


def test_restarted_they_are_those_of_the_new_rewards_returns_alone() -> None:
    # With gamma 1/2, rewards 4, 0, 2 sum up to 4, 2, 3, and 1, 2 to 1, 2.5 in an episode of its own.
    _, statistics = agent()
    statistics.ret_rms.update(np.full(1000, 500.0))
    restart_statistics(statistics, [np.array([4.0, 0, 2]), np.array([1.0, 2])])
    mean, var, count = figures(statistics)
    assert (mean, var, count) == pytest.approx((2.5, (1.5**2 + 0.5**2 + 0.5**2 + 1.5**2) / 5, 5), abs=1e-3)


def test_they_restart_with_a_new_reward_where_the_settings_say_so() -> None:
    for setting, expected in (("keep", None), ("restart", 0.0)):
        one, statistics = agent(return_statistics=setting)
        one.improve(64)
        before, payer = figures(statistics), statistics.venv
        one.pay(lambda o, *_: np.zeros(len(o), np.float32))
        assert isinstance(payer, VecLearnedReward)
        recorder: Any = payer.venv
        trajectories: list[Trajectory] = recorder.trajectories()
        one.reward_changed(trajectories)
        if expected is None:
            assert figures(statistics) == before
        else:
            steps = sum(map(len, trajectories))
            assert figures(statistics) == pytest.approx((0, 0, steps), abs=1e-3)


def test_rewards_are_divided_by_the_returns_deviation() -> None:
    one, statistics = agent()
    one.improve(64)
    buffer = one.sb3.rollout_buffer
    raw = 1 + buffer.observations.reshape(2, 32, 4)[:, -1, 0]  # of the last step: SB3 lays the environments in a row
    np.testing.assert_allclose(buffer.rewards[-1], raw / np.sqrt(statistics.ret_rms.var), rtol=1e-5)
