"""A demonstrator is found by its name, and held against the environment before anything is learned."""

import shutil
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.classic_control import CartPoleEnv
from stable_baselines3 import DQN, PPO

from rlhf_gym.contracts import example_queries
from rlhf_gym.demonstrators import find_demonstrator
from rlhf_gym.envs import save_trajectories
from rlhf_gym.envs.minari_datasets import trajectories_to_minari
from rlhf_gym.evaluation import play
from rlhf_gym.preferences import Query, content
from rlhf_gym.segments import Ending, Origin, Trajectory

CARTPOLE = Origin("CartPole-v1", 0)


def left(observations):
    return np.zeros(len(observations), np.int64), None


def found(place, *, origin=CARTPOLE, length=5, corrects=False, seed=0):
    return find_demonstrator(str(place), origin, length=length, corrects=corrects, rng=np.random.default_rng(seed))


def asked(length=5):
    """Ask for a demonstration; what is shown beside it is nothing to the demonstrator."""
    trajectory = Trajectory(np.zeros((9, 4), np.float32), np.zeros(8, np.int64), np.zeros(8), Ending.TRUNCATED)
    return Query((trajectory.cut(0, length),) * 3, id="q", kind="demonstration")


def windows(shows, n=400, length=5):
    return {(shown.origin.seed, shown.start) for shown in (shows(asked(length)) for _ in range(n))}


# Policies


def test_a_policy_plays_from_a_run_directory_as_from_its_file(balancing, tmp_path):
    shutil.copy(balancing, tmp_path / "policy.zip")
    from_file, from_run = found(balancing)(asked()), found(tmp_path)(asked())
    assert content(from_file) == content(from_run)
    assert from_file.origin.env_id == "CartPole-v1" and from_file.lived == 5


# Recordings


def test_every_window_of_every_trajectory_is_shown(tmp_path):
    episodes = play(left, "CartPole-v1", seed=0, n_episodes=3)
    save_trajectories(tmp_path / "some", episodes)
    shows = found(tmp_path / "some")
    assert windows(shows) == {(e.origin.seed, start) for e in episodes for start in range(len(e))}
    assert content(found(tmp_path / "some", seed=1)(asked())) == content(found(tmp_path / "some", seed=1)(asked()))


def test_what_is_shown_is_of_the_dtypes_that_a_run_records(tmp_path):
    (episode,) = play(left, "CartPole-v1", seed=0, n_episodes=1)
    wide = replace(episode, observations=episode.observations.astype(np.float64), actions=episode.actions.astype("i1"))
    save_trajectories(tmp_path / "some", [wide])
    shown = found(tmp_path / "some")(asked())
    dtypes = [shown.observations.dtype, shown.actions.dtype, shown.earlier_actions.dtype, shown.rewards.dtype]
    assert dtypes == [np.float32, np.int64, np.int64, np.float32] and shown.origin == episode.origin


def test_rounded_actions_have_no_origin(tmp_path):
    def third(observations):
        return np.full((len(observations), 1), 1 / 3), None

    (played,) = play(third, "Pendulum-v1", seed=0, n_episodes=1, env_kwargs={"max_episode_steps": 10})
    episodes = [replace(played, actions=np.full((10, 1), 1 / 3))]  # more digits than the environment was given
    save_trajectories(tmp_path / "some", episodes)
    shown = found(tmp_path / "some", origin=Origin("Pendulum-v1", 0))(asked())
    assert shown.actions.dtype == np.float32 and shown.origin is None


def test_a_minari_dataset_is_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    episodes = play(left, "CartPole-v1", seed=0, n_episodes=2)
    trajectories_to_minari(episodes, "cartpole/left-v0")
    assert windows(found("minari:cartpole/left-v0")) == {(e.origin.seed, s) for e in episodes for s in range(len(e))}
    with pytest.raises(ValueError, match="minari dataset none-v0 isn't on this machine"):
        found("minari:none-v0")


# What is refused


def test_a_policy_of_another_environment_is_refused_naming_both(balancing, tmp_path):
    shapes = r"of shapes \(4,\) and \(\), and the run's environment has \(3,\) and \(1,\); use one of the same"
    with pytest.raises(ValueError, match=rf"balancing.zip has observations and actions {shapes}") as refused:
        found(balancing, origin=Origin("Pendulum-v1", 0))
    assert "\n" not in str(refused.value)


class Three(CartPoleEnv):
    """A cart that can stand still, too."""

    def __init__(self):
        super().__init__()
        self.action_space = spaces.Discrete(3)


@pytest.fixture
def three():
    gymnasium.register("FoundTest/Three-v0", entry_point=Three, max_episode_steps=20)
    yield
    del gymnasium.registry["FoundTest/Three-v0"]


def test_a_policy_with_other_actions_is_refused(three, tmp_path):
    DQN("MlpPolicy", "FoundTest/Three-v0", buffer_size=8, policy_kwargs={"net_arch": [4]}).save(tmp_path / "three.zip")
    with pytest.raises(ValueError, match=r"three.zip takes actions Discrete\(3\), and .* Discrete\(2\); use another"):
        found(tmp_path / "three.zip")


def test_trajectories_of_another_environment_are_refused(tmp_path):
    (episode,) = play(left, "CartPole-v1", seed=0, n_episodes=1)
    save_trajectories(tmp_path / "some", [episode])
    with pytest.raises(ValueError, match=r"some has observations and actions of shapes \(4,\) and \(\), .* \(3,\)"):
        found(tmp_path / "some", origin=Origin("Pendulum-v1", 0))
    for actions in (episode.actions + 2, episode.actions - 1, episode.actions / 2):
        save_trajectories(tmp_path / "some", [replace(episode, actions=actions)])
        with pytest.raises(ValueError, match="some has actions other than whole numbers below 2; expected Discrete"):
            found(tmp_path / "some")


def test_trajectories_do_not_correct(tmp_path):
    save_trajectories(tmp_path / "some", play(left, "CartPole-v1", seed=0, n_episodes=1))
    with pytest.raises(ValueError, match="some holds recorded trajectories, which can't go on from where a correction"):
        found(tmp_path / "some", corrects=True)
    (query, *_) = example_queries(1, kind="correction")
    with pytest.raises(ValueError, match=f"query '{query.id}' is a correction; recorded trajectories can't go on"):
        found(tmp_path / "some")(query)


def test_trajectories_that_are_too_short_are_refused(tmp_path):
    (episode,) = play(left, "CartPole-v1", seed=0, n_episodes=1)
    save_trajectories(tmp_path / "some", [replace(episode, ending=Ending.UNFINISHED)])
    with pytest.raises(ValueError, match=rf"1 trajectories, the longest of {len(episode)} steps, and segment_length"):
        found(tmp_path / "some", length=len(episode) + 1)
    assert found(tmp_path / "some", length=len(episode))(asked(length=8)).length == 8


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("gone", "is .*gone, which isn't there; use a run directory, a policy's file, a file of save_trajectories, or"),
        ("empty", "is .*empty, which holds no policy.zip; use the directory of a whole run"),
        ("text", "text can't be read: it is no such file"),
        ("cut.zip", "cut.zip can't be read: it is no such file"),
    ],
)
def test_what_is_no_demonstrator_is_refused_in_one_line(place, told, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("left")
    PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8, policy_kwargs={"net_arch": []}).save(tmp_path / "cut.zip")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "cut.zip").read_bytes()[:1000])
    with pytest.raises(ValueError, match=told) as refused:
        found(tmp_path / place)
    assert "\n" not in str(refused.value)
