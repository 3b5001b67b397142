"""Recorded trajectories are loaded by name, and refused where they are of another environment."""

import warnings
from dataclasses import replace

import gymnasium
import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from rlhf_gym.envs import save_trajectories
from rlhf_gym.envs.minari_datasets import trajectories_to_minari
from rlhf_gym.envs.recordings import recordings_of
from rlhf_gym.evaluation import play
from rlhf_gym.segments import Ending, Origin, Trajectory

CARTPOLE = Origin("CartPole-v1", 0)


@pytest.fixture
def twin():
    """Another environment with the same spaces."""
    entry_point = "gymnasium.envs.classic_control:CartPoleEnv"
    gymnasium.register("RecordingsTest/Twin-v0", entry_point=entry_point, max_episode_steps=20)
    yield Origin("RecordingsTest/Twin-v0", 0)
    del gymnasium.registry["RecordingsTest/Twin-v0"]


def left(observations):
    return np.zeros(len(observations), np.int64), None


def found(place, origin=CARTPOLE, length=5):
    return recordings_of(origin, str(place), length=length, setting="query.trajectories")


@pytest.fixture
def episodes():
    return play(left, "CartPole-v1", seed=0, n_episodes=2)


@pytest.fixture(autouse=True)
def datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))


def test_a_file_and_a_minari_dataset_hold_the_same(episodes, tmp_path):
    save_trajectories(tmp_path / "some", episodes)
    trajectories_to_minari(episodes, "cartpole/left-v0")
    for place in (tmp_path / "some", "minari:cartpole/left-v0"):
        read = found(place)
        assert [t.origin for t in read] == [t.origin for t in episodes]
        for one, other in zip(read, episodes, strict=True):
            assert np.array_equal(one.observations, other.observations) and one.ending is Ending.TERMINATED
            assert (one.actions.dtype, one.rewards.dtype) == (np.int64, np.float32)  # as a run records


def test_keyword_arguments_and_horizon_may_differ(episodes, tmp_path):
    save_trajectories(tmp_path / "some", episodes)
    there = found(tmp_path / "some", Origin("CartPole-v1", 0, {"max_episode_steps": 100}, 50))
    assert there[0].origin.fixed_horizon is None  # each keeps its own recipe


def test_another_environment_is_refused_naming_both(twin, episodes, tmp_path):
    save_trajectories(tmp_path / "some", episodes)
    for origin in (twin, Origin("Pendulum-v1", 0)):
        told = f"query.trajectories .*some was recorded in CartPole-v1, and env_id is {origin.env_id}; use trajectories"
        with pytest.raises(ValueError, match=told) as refused:
            found(tmp_path / "some", origin)
        assert "\n" not in str(refused.value)


def test_a_dataset_of_others_says_where_it_was_recorded_too(twin):
    buffer = EpisodeBuffer(observations=np.zeros((7, 4), np.float32), actions=[1] * 6, rewards=[1.0] * 6,
                           terminations=[False] * 6, truncations=[False] * 5 + [True], infos={})  # fmt: skip
    with gymnasium.make(twin.env_id) as env, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        minari.create_dataset_from_buffers("others-v0", [buffer], env=env)
    with pytest.raises(
        ValueError, match="minari:others-v0 was recorded in RecordingsTest/Twin-v0, and env_id is CartPole-v1; use"
    ):
        found("minari:others-v0")
    assert len(found("minari:others-v0", twin)) == 1


def test_other_spaces_are_refused_where_no_environment_is_named(episodes, tmp_path):
    save_trajectories(tmp_path / "some", [replace(episode, origin=None) for episode in episodes])
    with pytest.raises(ValueError, match=r"some has observations and actions of shapes \(4,\) and \(\), and the run's"):
        found(tmp_path / "some", Origin("Pendulum-v1", 0))
    assert len(found(tmp_path / "some")) == 2


PENDULUM = Origin("Pendulum-v1", 0)


def swings(steps=6):
    """Recorded by others: actions at the bounds, up to rounding."""
    actions = np.tile(np.array([[2.0], [-2.0]]) * (1 + 1e-7), (steps // 2, 1))
    return Trajectory(np.zeros((steps + 1, 3)), actions, np.zeros(steps), Ending.TRUNCATED)


@pytest.mark.parametrize(
    ("array", "place", "value", "told"),
    [
        ("observations", (6, 1), np.nan, r"observation \[0.0, nan, 0.0\] in trajectory 1, step 6; expected finite num"),
        ("observations", (0, 1), -1e39, r"observation \[0.0, -1e\+39, 0.0\] in trajectory 1, step 0; expected finite"),
        (
            "actions",
            (3, 0),
            np.nan,
            r"action \[nan\] in trajectory 1, step 3; expected finite numbers: correct the rec",
        ),
        ("actions", (3, 0), 2.1, r"action \[2.1\] in trajectory 1, step 3; expected one in Box\(-2.0, 2.0, "),
    ],
)
def test_values_that_no_step_can_have_are_refused_by_trajectory_and_step(array, place, value, told, tmp_path):
    whole, broken = swings(), swings()
    save_trajectories(tmp_path / "some", [whole, broken])
    assert len(found(tmp_path / "some", PENDULUM)) == 2
    getattr(broken, array)[place] = value
    save_trajectories(tmp_path / "some", [whole, broken])
    with pytest.raises(ValueError, match=f"query.trajectories .*some has {told}"):
        found(tmp_path / "some", PENDULUM)


def test_what_is_too_short_or_not_there_is_refused(episodes, tmp_path):
    save_trajectories(tmp_path / "some", [replace(episodes[0], ending=Ending.UNFINISHED)])
    with pytest.raises(ValueError, match=r"query.trajectories .*some holds 1 trajectories, the longest of \d+ steps"):
        found(tmp_path / "some", length=50)
    with pytest.raises(ValueError, match="trajectories gone can't be read: there is none; use a file of save_traj"):
        found("gone")
    with pytest.raises(ValueError, match="minari dataset gone-v0 isn't on this machine"):
        found("minari:gone-v0")
