"""Trajectories go into Minari datasets and out again, bit for bit; nothing is downloaded."""

import json
import sys
import warnings

import gymnasium
import minari
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.classic_control import CartPoleEnv
from minari.data_collector import EpisodeBuffer

from rlhf_gym.envs import make_vec_env, replay
from rlhf_gym.envs.minari_datasets import env_id_of_minari, trajectories_from_minari, trajectories_to_minari
from rlhf_gym.segments import Ending, Origin, Trajectory


@pytest.fixture(autouse=True)
def datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))


def bits(trajectory):
    arrays = (trajectory.observations, trajectory.actions, trajectory.rewards)
    return [(a.dtype, a.shape, a.tobytes()) for a in arrays], trajectory.ending, trajectory.origin


def record(origin, steps):
    venv = make_vec_env(origin, n_envs=2, memory_steps=10_000, rng=np.random.default_rng(0))
    venv.action_space.seed(0)
    venv.reset()
    for _ in range(steps):
        venv.step(np.array([venv.action_space.sample() for _ in range(2)]))
    venv.close()
    return venv.trajectories()


@pytest.mark.parametrize(
    "origin",
    [
        Origin("CartPole-v1", 0),
        Origin("CartPole-v1", 0, {"max_episode_steps": 30}, 20),
        Origin("Pendulum-v1", 0, {"g": 3.0, "max_episode_steps": 20}),
        Origin("Hopper-v5", 0, {}, 30),
    ],
)
def test_a_round_trip_changes_nothing(origin):
    trajectories = record(origin, 50)
    trajectories_to_minari(trajectories, "test/some-v0", author="ann")
    read = trajectories_from_minari("test/some-v0")
    assert [bits(one) for one in read] == [bits(one) for one in trajectories]
    replay(read[-1], draw=False)
    env = minari.load_dataset("test/some-v0").recover_environment()  # others can make it, too
    assert env.observation_space == env.observation_space and env.spec.id == origin.env_id
    env.close()


def test_every_ending_is_kept():
    (one,) = record(Origin("CartPole-v1", 0), 5)[:1]
    endings = list(Ending)
    trajectories = [Trajectory(one.observations, one.actions, one.rewards, e, one.origin) for e in endings]
    trajectories_to_minari(trajectories, "some-v0")
    assert [read.ending for read in trajectories_from_minari("some-v0")] == endings


def test_an_environment_is_needed_where_trajectories_name_none():
    trajectory = Trajectory(np.zeros((3, 4), np.float32), np.zeros(2, np.int64), np.ones(2), Ending.TRUNCATED)
    with pytest.raises(ValueError, match="trajectories have no origin; give their environment: env="):
        trajectories_to_minari([trajectory], "some-v0")
    with gymnasium.make("CartPole-v1") as env:
        trajectories_to_minari([trajectory], "some-v0", env=env)
    (read,) = trajectories_from_minari("some-v0")
    assert bits(read) == bits(trajectory)


def test_an_environment_that_was_registered_as_a_class_will_do():
    gymnasium.register("MinariTest/Own-v0", entry_point=CartPoleEnv, max_episode_steps=20)
    try:
        trajectories = record(Origin("MinariTest/Own-v0", 0), 10)
        trajectories_to_minari(trajectories, "some-v0")
        assert [bits(one) for one in trajectories_from_minari("some-v0")] == [bits(one) for one in trajectories]
    finally:
        del gymnasium.registry["MinariTest/Own-v0"]


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_what_others_recorded_from_seeds_that_replay_here_has_origins(env_id):
    with gymnasium.make(env_id, max_episode_steps=10) as env:
        created(buffer=[recorded_elsewhere(env, seed) for seed in (2**63 + 5, 7)], env=env)  # Minari draws 64 bits
    read = trajectories_from_minari("others-v0")
    assert {t.origin.env_id for t in read} == {env_id} and read[0].origin.env_kwargs == {"max_episode_steps": 10}
    assert [t.origin.seed for t in read] == [2**63 + 5, 7] and env_id_of_minari("others-v0") == env_id
    for trajectory in read:
        replay(trajectory, draw=False)


def recorded_elsewhere(env, seed):
    env.action_space.seed(0)
    observations, actions, rewards, over = [env.reset(seed=seed)[0]], [], [], [False, False]
    while not any(over):
        actions.append(env.action_space.sample())
        observation, reward, *over, _ = env.step(actions[-1])
        observations.append(observation)
        rewards.append(reward)
    before = [False] * (len(actions) - 1)
    return EpisodeBuffer(seed=seed, observations=np.stack(observations), actions=np.stack(actions), rewards=rewards,
                         terminations=[*before, over[0]], truncations=[*before, over[1]], infos={})  # fmt: skip


def test_a_dataset_says_how_it_was_made():
    trajectories_to_minari(record(Origin("CartPole-v1", 0), 5), "some-v0", made_by={"run": "first", "seed": 3})
    metadata = minari.load_dataset("some-v0").storage.metadata
    assert json.loads(metadata["rlhf_gym_run"]) == {"run": "first", "seed": 3}


def test_what_others_recorded_otherwise_has_no_origin():
    with gymnasium.make("CartPole-v1") as env:
        created(
            buffer=[EpisodeBuffer(seed=3, observations=np.zeros((2, 4), np.float32), actions=[1], rewards=[1.0],
                                  terminations=[True], truncations=[False], infos={})],
            env=env,
        )  # fmt: skip
    (read,) = trajectories_from_minari("others-v0")
    assert read.origin is None and read.terminated and read.actions.tolist() == [1]


def test_observations_that_are_no_box_are_refused_in_one_line():
    box = spaces.Box(-1, 1, (2,))
    created(
        buffer=[EpisodeBuffer(observations={"a": np.zeros((2, 2))}, actions=np.zeros((1, 2)), rewards=[1.0],
                              terminations=[True], truncations=[False], infos={})],
        observation_space=spaces.Dict({"a": box}),
        action_space=box,
    )  # fmt: skip
    with pytest.raises(ValueError, match="others-v0 can't be read: its observations are of a Dict; supported: Box"):
        trajectories_from_minari("others-v0")


def created(**of):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of all that isn't told
        minari.create_dataset_from_buffers("others-v0", **of)


@pytest.mark.parametrize("id_", ["none-v0", "no id", "../x"])
def test_a_dataset_that_is_not_here_is_refused_in_one_line(id_):
    with pytest.raises(ValueError, match="isn't on this machine; see `minari list local`, or get it: ") as refused:
        trajectories_from_minari(id_)
    assert "\n" not in str(refused.value)


def test_what_makes_no_dataset_is_refused(tmp_path):
    trajectories = record(Origin("CartPole-v1", 0), 5)
    with pytest.raises(ValueError, match="got no trajectories"):
        trajectories_to_minari([], "some-v0")
    with pytest.raises(ValueError, match="of Origin.*CartPole.* and of Origin.*Pendulum.*; make a dataset of each"):
        trajectories_to_minari([*trajectories, *record(Origin("Pendulum-v1", 0), 5)], "some-v0")
    for strange in ("some", "some v0"):
        with pytest.raises(ValueError, match=f"minari dataset {strange} can't be made: "):
            trajectories_to_minari(trajectories, strange)
    assert list(tmp_path.rglob("data")) == []
    trajectories_to_minari(trajectories, "some-v0")
    with pytest.raises(ValueError, match="some-v0 can't be made: .* already exists"):
        trajectories_to_minari(trajectories, "some-v0")


def test_without_minari_the_remedy_is_told(monkeypatch):
    monkeypatch.delitem(sys.modules, "rlhf_gym.envs.minari_datasets")
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(ImportError, match=r"Minari datasets need Minari: pip install 'rlhf-gym\[minari\]'"):
        import rlhf_gym.envs.minari_datasets  # noqa: F401
