"""On-policy agents: Stable-Baselines3's PPO and A2C in portions."""

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.utils import LinearSchedule, set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from rlhf_gym.agents import OnPolicyAgent
from rlhf_gym.agents.agent import Schedule
from rlhf_gym.errors import BadInput

ROLLOUT = 32
SMALL: dict[str, Any] = {"n_steps": 16, "batch_size": 16, "n_epochs": 1, "learning_rate": 0.01, "clip_range": 0.3}


@pytest.fixture
def venv() -> Iterator[VecEnv]:
    torch.set_num_threads(1)
    made = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * 2)
    yield made
    made.close()


def ppo_agent(venv: VecEnv, *, total: int = 999, schedule: Schedule = "constant", **settings: Any) -> OnPolicyAgent:
    return OnPolicyAgent(PPO, venv, seed=0, total_timesteps=total, schedule=schedule, options=SMALL, **settings)


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


def rates_in_portions(venv: VecEnv, portions: list[int], schedule: Schedule) -> list[Any]:
    """Learning rates and clip ranges when so many rollouts are trained at a time."""
    agent = ppo_agent(venv, total=sum(portions) * ROLLOUT, schedule=schedule)
    rates = record_rates(agent.sb3)
    for rollouts in portions:
        agent.improve(rollouts * ROLLOUT)
    return rates


@pytest.mark.parametrize("portions", [[10], [1] * 10, [4, 3, 2, 1], [1, 9]], ids=str)
def test_a_linear_schedule_falls_once_over_all_portions(venv: VecEnv, portions: list[int]) -> None:
    rates = np.array(rates_in_portions(venv, portions, "linear"))
    # Set after each of ten rollouts: nine tenths, eight tenths, ...; the last, which would be 0, half a tenth.
    left = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
    np.testing.assert_allclose(rates[:, 0], 0.01 * left, atol=1e-12)
    np.testing.assert_allclose(rates[:, 1], 0.3 * left, atol=1e-12)


def test_a_linear_schedule_in_portions_is_that_of_one_long_training(venv: VecEnv) -> None:
    linear = {"learning_rate": LinearSchedule(0.01, 0, 1), "clip_range": LinearSchedule(0.3, 0, 1)}
    plain = PPO("MlpPolicy", venv, device="cpu", **(SMALL | linear))
    rates = record_rates(plain)
    plain.learn(6 * ROLLOUT)
    ours = rates_in_portions(venv, [2, 1, 3], "linear")
    np.testing.assert_allclose(ours[:-1], rates[:-1], atol=1e-12)
    assert rates[-1] == (0, 0) and ours[-1][0] == pytest.approx(0.01 / 12)  # a rollout that SB3 learns nothing from


def test_a_constant_schedule_stays(venv: VecEnv) -> None:
    assert rates_in_portions(venv, [2, 1, 2], "constant") == [(0.01, 0.3)] * 5


def test_training_beyond_the_end_of_a_linear_schedule_never_climbs(venv: VecEnv) -> None:
    agent = ppo_agent(venv, total=2 * ROLLOUT, schedule="linear")
    rates = record_rates(agent.sb3)
    for _ in range(3):
        agent.improve(ROLLOUT)
    np.testing.assert_allclose(rates, [(0.005, 0.15), (0.0025, 0.075), (0.0025, 0.075)], atol=1e-12)


@pytest.mark.parametrize("rollouts", [1, 3])
def test_a_linear_schedule_leaves_no_rollout_without_effect(venv: VecEnv, rollouts: int) -> None:
    agent = ppo_agent(venv, total=rollouts * ROLLOUT, schedule="linear")
    for _ in range(rollouts):
        before = [parameter.detach().clone() for parameter in agent.sb3.policy.parameters()]
        agent.improve(ROLLOUT)
        assert any(not torch.equal(a, b) for a, b in zip(before, agent.sb3.policy.parameters(), strict=True))


def test_a_standard_deviation_that_overflows_is_refused_in_one_line() -> None:
    venv = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")] * 2)
    agent = ppo_agent(venv)
    with torch.no_grad():
        agent.sb3.policy.log_std.fill_(1000.0)  # finite, and its exponential isn't
    with pytest.raises(BadInput, match="weights of PPO's policy are nan or infinite.*learning_rate"):
        agent.improve(ROLLOUT)
    venv.close()


def test_weights_that_are_no_numbers_any_more_are_refused_in_one_line(venv: VecEnv) -> None:
    agent = ppo_agent(venv)
    with torch.no_grad():
        next(agent.sb3.policy.parameters()).fill_(math.nan)
    with pytest.raises(BadInput, match="weights of PPO's policy are nan or infinite.*learning_rate"):
        agent.improve(ROLLOUT)


def test_portions_add_up(venv: VecEnv) -> None:
    agent = ppo_agent(venv)
    for total in (ROLLOUT, 3 * ROLLOUT):
        agent.improve(total - agent.steps)
        assert agent.steps == agent.sb3.num_timesteps == total


def test_episodes_go_on_from_one_portion_to_the_next(venv: VecEnv) -> None:
    agent, resets = ppo_agent(venv), []
    reset = venv.reset
    venv.reset = lambda: resets.append(1) or reset()  # type: ignore
    for _ in range(3):
        agent.improve(ROLLOUT)
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
            options = {**SMALL, "log_std_init": -0.5}
            agent = OnPolicyAgent(PPO, venv, seed=3, total_timesteps=32, net_arch=(8, 4), options=options)
            for _ in range(2):
                agent.improve(16)
            ppo: Any = agent.sb3
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
    ppo_agent(venv)
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
    agent = ppo_agent(venv, total=2 * ROLLOUT, schedule="linear")
    for _ in range(2):
        agent.improve(ROLLOUT)
    observations = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    agent.save(tmp_path / "policy.zip")
    np.save(tmp_path / "observations.npy", observations)
    subprocess.run([sys.executable, "-I", "-c", LOAD_PLAINLY], cwd=tmp_path, check=True)  # -I: without PYTHONPATH
    actions = agent.predict(observations)[0]
    assert set(actions) == {0, 1}
    np.testing.assert_array_equal(np.load(tmp_path / "actions.npy"), actions)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_a2c_is_the_one_that_sb3_makes_from_the_same_seed(env_id: str) -> None:
    learned = []
    for make in ("ours", "plain"):
        venv = DummyVecEnv([lambda: gymnasium.make(env_id)] * 2)
        venv.seed(5)
        if make == "ours":
            agent = OnPolicyAgent(A2C, venv, seed=3, total_timesteps=40, net_arch=(8, 4))
            assert agent.portion == 2 * 5
            for _ in range(4):
                agent.improve(10)
            a2c: Any = agent.sb3
        else:
            set_random_seed(3)
            a2c = A2C("MlpPolicy", venv, device="cpu", policy_kwargs={"net_arch": [8, 4]}).learn(40)
        learned.append(a2c.policy.state_dict())
        venv.close()
    assert learned[0].keys() == learned[1].keys()
    for name in learned[0]:
        torch.testing.assert_close(learned[0][name], learned[1][name], rtol=0, atol=0)


@pytest.mark.parametrize("steps", [0, -32, 33, 16])
def test_steps_that_are_no_whole_rollouts_are_refused(venv: VecEnv, steps: int) -> None:
    with pytest.raises(ValueError, match=f"steps is {steps} but PPO moves in 32 steps; use a multiple of them"):
        ppo_agent(venv).improve(steps)
