"""Stable-Baselines3's PPO in portions."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.utils import LinearSchedule, set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from rlhf_gym.agents import improve, make_ppo

ROLLOUT = 32
SMALL: dict[str, Any] = {"n_steps": 16, "batch_size": 16, "n_epochs": 1, "learning_rate": 0.01, "clip_range": 0.3}


@pytest.fixture
def venv() -> Iterator[VecEnv]:
    torch.set_num_threads(1)
    made = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * 2)
    yield made
    made.close()


def record_rates(ppo: PPO) -> list[tuple[float, float]]:
    """Fills with learning rate and clip range of every update."""
    rates, train = [], ppo.train

    def spy() -> None:
        train()
        rates.append(
            (ppo.policy.optimizer.param_groups[0]["lr"], ppo.clip_range(ppo._current_progress_remaining))  # type: ignore
        )

    ppo.train = spy  # type: ignore[method-assign]
    return rates


def rates_in_portions(venv: VecEnv, portions: list[int], schedule: Literal["constant", "linear"]) -> list[Any]:
    """Learning rates and clip ranges when so many rollouts are trained at a time."""
    ppo = make_ppo(venv, seed=0, **SMALL)
    rates = record_rates(ppo)
    for rollouts in portions:
        improve(
            ppo,
            timesteps=rollouts * ROLLOUT,
            total_timesteps=sum(portions) * ROLLOUT,
            schedule=schedule,
            clip_range=SMALL["clip_range"],
        )
    return rates


@pytest.mark.parametrize("portions", [[10], [1] * 10, [4, 3, 2, 1], [1, 9]], ids=str)
def test_a_linear_schedule_falls_to_0_once_over_all_portions(venv: VecEnv, portions: list[int]) -> None:
    rates = np.array(rates_in_portions(venv, portions, "linear"))
    # Set after each of ten rollouts: nine tenths, eight tenths, ... none.
    np.testing.assert_allclose(rates[:, 0], 0.01 * np.arange(9, -1, -1) / 10, atol=1e-12)
    np.testing.assert_allclose(rates[:, 1], 0.3 * np.arange(9, -1, -1) / 10, atol=1e-12)


def test_a_linear_schedule_in_portions_is_that_of_one_long_training(venv: VecEnv) -> None:
    linear = {"learning_rate": LinearSchedule(0.01, 0, 1), "clip_range": LinearSchedule(0.3, 0, 1)}
    plain = PPO("MlpPolicy", venv, device="cpu", **(SMALL | linear))
    rates = record_rates(plain)
    plain.learn(6 * ROLLOUT)
    np.testing.assert_allclose(rates_in_portions(venv, [2, 1, 3], "linear"), rates, atol=1e-12)


def test_a_constant_schedule_stays(venv: VecEnv) -> None:
    assert rates_in_portions(venv, [2, 1, 2], "constant") == [(0.01, 0.3)] * 5


def test_training_beyond_the_end_of_a_linear_schedule_never_climbs(venv: VecEnv) -> None:
    ppo = make_ppo(venv, seed=0, **SMALL)
    rates = record_rates(ppo)
    for _ in range(3):
        improve(ppo, timesteps=ROLLOUT, total_timesteps=2 * ROLLOUT, schedule="linear", clip_range=0.3)
    np.testing.assert_allclose(rates, [(0.005, 0.15), (0, 0), (0, 0)], atol=1e-12)


def test_portions_add_up(venv: VecEnv) -> None:
    ppo = make_ppo(venv, seed=0, **SMALL)
    for total in (ROLLOUT, 3 * ROLLOUT):
        improve(ppo, timesteps=total - ppo.num_timesteps, total_timesteps=999, schedule="constant", clip_range=0.3)
        assert ppo.num_timesteps == total


def test_episodes_go_on_from_one_portion_to_the_next(venv: VecEnv) -> None:
    ppo, resets = make_ppo(venv, seed=0, **SMALL), []
    reset = venv.reset
    venv.reset = lambda: resets.append(1) or reset()  # type: ignore
    for _ in range(3):
        improve(ppo, timesteps=ROLLOUT, total_timesteps=3 * ROLLOUT, schedule="constant", clip_range=0.3)
    assert len(resets) == 1


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize(
    ("optimizer", "tolerance"), [({"eps": 1e-5, "fused": True}, 0.0), (None, 1e-5)], ids=["fused", "as it comes"]
)
def test_it_is_the_ppo_that_sb3_makes_from_the_same_seed(
    env_id: str, optimizer: dict[str, Any] | None, tolerance: float
) -> None:
    learned = []
    for make in ("ours", "plain"):
        venv = DummyVecEnv([lambda: gymnasium.make(env_id)])
        venv.seed(5)
        if make == "ours":
            ppo = make_ppo(venv, seed=3, net_arch=(8, 4), log_std_init=-0.5, **SMALL)
            for _ in range(2):
                improve(ppo, timesteps=16, total_timesteps=32, schedule="constant", clip_range=0.3)
        else:
            set_random_seed(3)
            kwargs = {"net_arch": [8, 4], "log_std_init": -0.5, "optimizer_kwargs": optimizer}
            ppo = PPO("MlpPolicy", venv, device="cpu", policy_kwargs=kwargs, **SMALL).learn(32)
        learned.append(ppo.policy.state_dict())
        venv.close()
    assert learned[0].keys() == learned[1].keys()
    for name in learned[0]:
        torch.testing.assert_close(learned[0][name], learned[1][name], rtol=0, atol=tolerance)


def test_the_environments_are_not_seeded_with_the_agents_seed(venv: VecEnv) -> None:
    make_ppo(venv, seed=3, **SMALL)
    assert venv._seeds == [None, None]


LOAD_PLAINLY = """
import sys

class NoHouse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "rlhf_gym":
            raise ImportError("rlhf_gym is not installed here")

sys.meta_path.insert(0, NoHouse())
import numpy as np
from stable_baselines3 import PPO

policy = PPO.load("policy.zip", device="cpu")
np.save("actions.npy", policy.predict(np.load("observations.npy"), deterministic=True)[0])
assert "rlhf_gym" not in sys.modules
"""


def test_a_policy_trained_in_portions_loads_with_nothing_but_sb3(venv: VecEnv, tmp_path: Path) -> None:
    ppo = make_ppo(venv, seed=0, **SMALL)
    for _ in range(2):
        improve(ppo, timesteps=ROLLOUT, total_timesteps=2 * ROLLOUT, schedule="linear", clip_range=0.3)
    observations = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    ppo.save(tmp_path / "policy.zip")
    np.save(tmp_path / "observations.npy", observations)
    subprocess.run([sys.executable, "-I", "-c", LOAD_PLAINLY], cwd=tmp_path, check=True)  # -I: without PYTHONPATH
    actions = ppo.predict(observations, deterministic=True)[0]
    assert set(actions) == {0, 1}
    np.testing.assert_array_equal(np.load(tmp_path / "actions.npy"), actions)
