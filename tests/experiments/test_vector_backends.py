import sys

import numpy as np
import pytest

from experiments.vector_backends import BACKENDS, EnvPoolVecEnv, dynamics_gap, make_pool, order, table, time_run
from rlhf_gym import RLHFConfig


def test_every_backend_comes_first_in_turn():
    assert [order(turn)[0] for turn in range(3)] == list(BACKENDS)
    assert all(sorted(order(turn)) == sorted(BACKENDS) for turn in range(3))


def test_ratios_are_taken_turn_by_turn():
    seconds = {"gymnasium": ("2", "8"), "envpool, 1 thread": ("1", "2"), "envpool, 2 threads": ("2", "8")}
    rows = [{"env_id": "A-v0", "n_envs": "8", "backend": b, "s": s} for b, both in seconds.items() for s in both]
    lines = table(rows, {"s": "seconds"}, ["s"], 1).splitlines()
    assert lines[3] == "| A-v0 | 8 | envpool, 1 thread | 1.5 | 0.38 (0.25 to 0.50) |"


def test_without_envpool_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(ImportError, match=r"needs EnvPool: pip install envpool \(Python 3.11 or newer\)$"):
        make_pool("CartPole-v1", num_envs=1)


class TestWithEnvPool:
    @pytest.fixture(autouse=True)
    def _needs_envpool(self):
        pytest.importorskip("envpool")

    def test_an_environment_it_does_not_have_is_refused(self):
        with pytest.raises(ValueError, match="env_id is Hopper-v2, which EnvPool doesn't have"):
            make_pool("Hopper-v2", num_envs=1)

    def test_an_episode_is_reset_in_the_step_that_ends_it(self):
        venv = EnvPoolVecEnv("CartPole-v1", n_envs=2, threads=1, seed=0)
        venv.reset()
        for step in range(1, 20):
            observations, rewards, dones, infos = venv.step(np.array([0, step % 2]))  # the first pole falls
            assert (rewards == 1).all()
            if dones.any():
                break
        assert dones.tolist() == [True, False]
        assert abs(infos[0]["terminal_observation"][2]) > 0.2095
        assert infos[0]["episode"] == {"r": step, "l": step}
        assert infos[0]["TimeLimit.truncated"] is False
        assert (np.abs(observations[0]) <= 0.05).all()
        assert infos[1] == {}
        venv.close()

    def test_a_time_limit_truncates(self):
        venv = EnvPoolVecEnv("Pendulum-v1", n_envs=2, threads=2, seed=0)
        venv.reset()
        for _ in range(200):
            _, _, dones, infos = venv.step(np.zeros((2, 1), np.float32))
        assert dones.all()
        assert all(info["TimeLimit.truncated"] for info in infos)
        venv.close()

    @pytest.mark.filterwarnings("ignore")
    def test_its_mujoco_moves_as_gymnasiums_does_to_rounding(self):
        assert dynamics_gap("Hopper-v5", episodes=1, horizons=(1,))[1] < 1e-12

    def test_a_whole_run_is_timed(self):
        small = {"query": {"first_steps": 128}, "agent": {"n_steps": 16, "batch_size": 64}}
        config = RLHFConfig.from_dict({"total_timesteps": 256, "labels": 4, "segment_length": 5, **small})
        row = time_run("envpool, 1 thread", config)
        assert 0 < row["env_wall_s"] < row["wall_s"]
