"""Replay buffers that don't fit in memory are refused before anything is learned."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

from rlhf_gym.agents import OffPolicyAgent
from rlhf_gym.agents.replay_memory import _of_groups, _of_machine, available_memory, bytes_per_step, check_replay_fits

MIB = 1024**2


class Seen(gymnasium.Env[Any, Any]):
    """An environment of certain spaces."""

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space


def venv(observation: spaces.Space[Any], action: spaces.Space[Any], n_envs: int = 1) -> DummyVecEnv:
    return DummyVecEnv([lambda: Seen(observation, action)] * n_envs)


@pytest.mark.parametrize(
    ("observation", "action", "expected"),
    [
        (spaces.Box(-1, 1, (3,)), spaces.Box(-2, 2, (1,)), 2 * 12 + 4 + 12),  # Pendulum's
        (spaces.Box(-1, 1, (17,), np.float64), spaces.Box(-1, 1, (6,), np.float64), 2 * 136 + 24 + 12),
        (spaces.Box(0, 255, (96, 96, 3), np.uint8), spaces.Discrete(5), 2 * 27648 + 8 + 12),
        (spaces.Discrete(16), spaces.Discrete(4), 2 * 8 + 8 + 12),
    ],
    ids=["float32", "float64", "pictures", "discrete"],
)
def test_a_step_takes_the_bytes_that_sb3_s_buffer_has_for_it(observation: Any, action: Any, expected: int) -> None:
    envs = venv(observation, action, n_envs=2)
    buffer = ReplayBuffer(10, observation, action, n_envs=2)
    names = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
    assert sum(getattr(buffer, name).nbytes for name in names) == 10 * expected == 10 * bytes_per_step(envs)


def test_a_buffer_that_the_run_would_fill_beyond_memory_is_refused_with_what_to_set() -> None:
    pictures = venv(spaces.Box(0, 255, (96, 96, 3), np.uint8), spaces.Discrete(5))
    check_replay_fits(pictures, 1_000_000, total_timesteps=1000, available=100 * MIB)  # 53 MiB are filled
    check_replay_fits(pictures, 1000, total_timesteps=1_000_000, available=100 * MIB)
    check_replay_fits(pictures, 1_000_000, total_timesteps=1_000_000, available=None)
    with pytest.raises(ValueError) as raised:
        check_replay_fits(pictures, 1_000_000, total_timesteps=100_000, available=1024 * MIB)
    assert str(raised.value) == (
        "option buffer_size is 1000000, of which the run fills 100000 steps of 55316 bytes, 5.2 GiB, and 1.0 GiB of "
        "memory can be had; set agent.options.buffer_size to at most 9705, which leaves half for all else"
    )


def test_the_agent_counts_sb3_s_own_size_where_none_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlhf_gym.agents.off_policy.available_memory", lambda: 10 * MIB)
    envs = venv(spaces.Box(-1, 1, (3,)), spaces.Box(-2, 2, (1,)))
    with pytest.raises(ValueError, match=r"buffer_size is 1000000, of which the run fills 1000000 steps of 40 bytes"):
        OffPolicyAgent(SAC, envs, seed=0, total_timesteps=2_000_000)
    OffPolicyAgent(SAC, envs, seed=0, total_timesteps=1000, options={"buffer_size": 1000})


@pytest.mark.filterwarnings("ignore:This system does not have apparently enough memory")
def test_a_buffer_that_cannot_even_be_made_is_refused_in_one_line() -> None:
    envs = venv(spaces.Box(-1, 1, (1000,)), spaces.Discrete(2))
    with pytest.raises(ValueError, match=r"buffer_size is 10000000000, for which there is no memory: .*such as 10,"):
        OffPolicyAgent(DQN, envs, seed=0, total_timesteps=10, options={"buffer_size": 10_000_000_000})


def test_memory_is_what_the_machine_has_left_or_the_tightest_control_group(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    2000 kB\n")
    assert list(_of_machine(tmp_path / "meminfo")) == [2_048_000]
    job = tmp_path / "run" / "job"
    job.mkdir(parents=True)
    for group, limit, used, droppable in ((job, "max", "70", 0), (job.parent, "500", "300", 40)):
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text(f"{used}\n")
        (group / "memory.stat").write_text(f"anon 3\ninactive_file {droppable}\n")
    (tmp_path / "membership").write_text("0::/run/job\n")
    assert list(_of_groups(tmp_path, tmp_path / "membership")) == [500 - 300 + 40]


def test_memory_is_found_in_control_groups_of_version_1_as_well(tmp_path: Path) -> None:
    job = tmp_path / "memory" / "job"
    job.mkdir(parents=True)
    (job / "memory.limit_in_bytes").write_text("1000\n")
    (job / "memory.usage_in_bytes").write_text("1600\n")
    (tmp_path / "membership").write_text("9:name=systemd:/job\n4:memory:/job\n")
    assert list(_of_groups(tmp_path, tmp_path / "membership")) == [0]


def test_where_nothing_is_known_nothing_is_refused(tmp_path: Path) -> None:
    assert not list(_of_machine(tmp_path / "none")) and not list(_of_groups(tmp_path, tmp_path / "none"))
    assert available_memory() is None or available_memory() > 0  # type: ignore[operator]
