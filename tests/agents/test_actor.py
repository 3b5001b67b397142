"""A policy is loaded out of any file of SB3's, and acts as the algorithm that wrote it."""

import zipfile

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3

from rlhf_gym.agents import load_actor, make_agent
from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.segments import Origin

SMALL = {"net_arch": [8]}  # SB3 changes what it is given


@pytest.mark.parametrize(
    ("algorithm", "env_id", "options"),
    [
        (PPO, "CartPole-v1", {"n_steps": 16, "batch_size": 16}),
        (PPO, "Pendulum-v1", {"n_steps": 16, "batch_size": 16, "use_sde": True}),
        (A2C, "Pendulum-v1", {}),
        (DQN, "CartPole-v1", {"buffer_size": 10}),
        (SAC, "Pendulum-v1", {"buffer_size": 10}),
        (TD3, "Pendulum-v1", {"buffer_size": 10}),
    ],
)
def test_it_acts_as_the_algorithm_does(algorithm, env_id, options, tmp_path):
    model = algorithm("MlpPolicy", env_id, seed=1, policy_kwargs=dict(SMALL), **options)
    model.save(tmp_path / "policy.zip")
    space = gymnasium.make(env_id).observation_space
    observations = np.stack([np.clip(space.sample(), -1, 1) for _ in range(20)])
    wanted, _ = model.predict(observations, deterministic=True)
    got, _ = load_actor(tmp_path / "policy.zip").predict(observations, deterministic=True)
    assert np.array_equal(got, wanted)
    assert len(np.unique(wanted)) > 1  # or anything would do


def test_of_a_run_it_normalises_as_the_run_did(tmp_path):
    venv = VecLearnedReward(
        make_vec_env(Origin("Pendulum-v1", 0), n_envs=2, memory_steps=100, rng=np.random.default_rng(0))
    )
    agent = make_agent(
        "ppo", venv, seed=0, total_timesteps=64, net_arch=[8], options={"n_steps": 16, "batch_size": 16, "n_epochs": 1}
    )
    agent.improve(64)
    agent.save(tmp_path / "policy.zip")
    actor = load_actor(tmp_path / "policy.zip")
    statistics = actor.features_extractor.count.item()
    observations = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    assert np.array_equal(actor.predict(observations, deterministic=True)[0], agent.predict(observations)[0])
    assert statistics == actor.features_extractor.count.item() == 64
    agent.close()
    venv.close()


@pytest.mark.parametrize("what", ["missing", "text", "empty archive", "half"])
def test_what_is_no_policy_is_refused_in_one_line(what, tmp_path):
    path = tmp_path / "policy.zip"
    if what == "text":
        path.write_text("left")
    if what == "empty archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data", "{}")
    if what == "half":
        PPO("MlpPolicy", "CartPole-v1", n_steps=16, batch_size=16, policy_kwargs=dict(SMALL)).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"policy.zip can't be read as a policy: .+; use a file of") as refused:
        load_actor(path)
    assert "\n" not in str(refused.value)
