"""`export --minari` writes a run's episodes, and says what they are."""

import json

import minari
import numpy as np
import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.cli import main
from rlhf_gym.envs import replay
from rlhf_gym.envs.minari_datasets import trajectories_from_minari
from rlhf_gym.store import PreferenceStore


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "mine"
    settings = {"labels": 8, "total_timesteps": 1024, "segment_length": 20, "evaluation": {"n_episodes": 1}, "seed": 7}
    query, agent = {"rounds": 2, "warm_up_steps": 256}, {"n_envs": 2, "options": {"n_steps": 64, "batch_size": 64}}
    rlhf = RLHF(RLHFConfig.for_env("CartPole-v1", run_dir=str(directory), query=query, agent=agent, **settings))
    rlhf.learn()
    rlhf.close()
    return directory


@pytest.fixture(autouse=True)
def datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))


def test_the_final_policy_plays_whole_episodes(trained, capsys):
    assert main(["evaluate", str(trained), "--n-episodes", "3", "--seed", "5", "--json"]) == 0
    mean = json.loads(capsys.readouterr().out)["true_return_mean"]
    assert main(["export", str(trained), "--minari", "cartpole/mine-v0", "--n-episodes", "3", "--seed", "5"]) == 0
    assert "wrote 3 episodes of its final policy, mean true return" in capsys.readouterr().out
    read = trajectories_from_minari("cartpole/mine-v0")
    assert np.mean([t.true_return for t in read]) == mean and len(read) == 3
    assert all(t.ending.value != "unfinished" for t in read)
    for trajectory in read:
        replay(trajectory, draw=False)
    metadata = minari.load_dataset("cartpole/mine-v0").storage.metadata
    assert json.loads(metadata["rlhf_gym_run"]) == {
        "run": "mine", "run_seed": 7, "algo": "ppo", "policy": "final, deterministic", "seed": 5,
        "reward": "a reward learned from 8 answers of teacher oracle", "labels": 8, "kind": "comparison",
        "teacher": "oracle",
    }  # fmt: skip
    assert "run mine, seed 7: 3 episodes of its final policy; rewards are the env" in metadata["description"]


def test_the_episodes_asked_about_hold_every_segment_of_the_store(trained, capsys):
    assert main(["export", str(trained), "--minari", "cartpole/asked-v0", "--episodes", "queries"]) == 0
    assert "beginnings of episodes that its queries were cut from, mean true" in capsys.readouterr().out
    episodes = {t.origin.seed: t for t in trajectories_from_minari("cartpole/asked-v0")}
    with PreferenceStore(trained / "preferences.db") as store:
        options = [option for preference in store.preferences() for option in preference.query.options]
    assert len(options) == 16 and episodes.keys() == {option.origin.seed for option in options}
    for option in options:
        again = episodes[option.origin.seed].cut(option.start, option.length)
        assert np.array_equal(again.observations[: option.lived + 1], option.observations)
        assert np.array_equal(again.rewards[: option.lived], option.rewards)
    reaches = {seed: max(o.start + o.lived for o in options if o.origin.seed == seed) for seed in episodes}
    assert {seed: len(episode) for seed, episode in episodes.items()} == reaches


def test_a_run_is_asked_about_what_another_exported(trained, capsys):
    assert main(["export", str(trained), "--minari", "cartpole/mine-v0"]) == 0
    settings = {"labels": 4, "total_timesteps": 256, "segment_length": 20, "query": {"rounds": 1}}
    agent = {"n_envs": 2, "options": {"n_steps": 64, "batch_size": 64}}
    query = {"rounds": 1, "trajectories": "minari:cartpole/mine-v0"}
    rlhf = RLHF(RLHFConfig.for_env("CartPole-v1", agent=agent, **{**settings, "query": query}))
    (option, *_) = rlhf.ask(4)[0].options
    assert option.origin.seed in {t.origin.seed for t in trajectories_from_minari("cartpole/mine-v0")}
    rlhf.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("{run} --minari bad", "--minari is 'bad'; expected a name with a version, such as cartpole/mine-v0"),
        ("{run} --minari a-v0 --n-episodes 0", "n_episodes is 0; use at least 1"),
        ("{run} --minari a-v0 --output there", "output is of exported preferences and minari is a-v0; leave one"),
        ("{run} --episodes queries", "episodes is of a Minari dataset; name it, as in --minari mine/policy-v0"),
        ("{run} --seed 3", "seed is of a Minari dataset; name it"),
        ("nowhere --minari a-v0", "nowhere isn't there; name a run directory"),
        ("nowhere --minari a-v0 --episodes queries", "nowhere holds no run (config.yaml missing)"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(words, told, trained, capsys):
    assert main(["export", *words.format(run=trained).split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
