"""`query.trajectories`: queries show segments that were recorded elsewhere; the policy is learned on line as always."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.cli import main
from rlhf_gym.envs import replay, save_trajectories
from rlhf_gym.envs.minari_datasets import trajectories_to_minari
from rlhf_gym.evaluation import play
from rlhf_gym.labelling import ClipCache, ClipError
from rlhf_gym.queries import count_queries, sample_candidates
from rlhf_gym.segments import Ending, Trajectory

FEW = {"labels": 12, "total_timesteps": 768, "segment_length": 10, "evaluation": {"n_episodes": 1}}
AGENT = {"n_envs": 2, "options": {"n_steps": 128, "batch_size": 64}}
REWARD = {"ensemble_size": 2, "steps": 5}


def wobbly(observations):
    """A policy of some skill: it goes where the pole falls, but for where the cart is."""
    return (observations[:, 2] + 0.3 * observations[:, 0] > 0).astype(np.int64), None


@pytest.fixture
def episodes():
    return play(wobbly, "CartPole-v1", seed=0, n_episodes=4)


def config(place, **settings):
    query = {"rounds": 3, "trajectories": str(place), **settings.pop("query", {})}
    return RLHFConfig.for_env("CartPole-v1", query=query, agent=AGENT, reward=REWARD, **{**FEW, **settings})


def learned(settings):
    rlhf = RLHF(settings)
    rlhf.learn()
    rlhf.close()
    return rlhf


def options(rlhf):
    return [option for preference in rlhf.preferences for option in preference.query.options]


def among(segment, episodes):
    """Whether it was cut from one of these episodes."""
    cuts = [e.cut(segment.start, segment.length) for e in episodes if segment.start < len(e)]
    return any(np.array_equal(cut.observations, segment.observations) for cut in cuts)


@pytest.mark.parametrize("scheme", ["uniform", "disagreement", "coverage"])
def test_every_query_is_about_the_recordings_and_the_policy_learns_on_line(scheme, episodes, tmp_path):
    save_trajectories(tmp_path / "some", episodes)
    rlhf = learned(config(tmp_path / "some", query={"scheme": scheme, "heldout": 0.2}))
    assert len(options(rlhf)) == 24 and all(among(option, episodes) for option in options(rlhf))
    assert rlhf.env_steps == rlhf.agent.steps == 768  # there was no warm-up
    played = {t.origin.seed for t in rlhf.recorder.trajectories()}
    assert played.isdisjoint(option.origin.seed for option in options(rlhf))


@pytest.mark.parametrize(
    "kind", ["ranking", "rating", "switch_off", "comparison=0.5,demonstration=0.5", "comparison=0.5,correction=0.5"]
)
def test_every_kind_of_feedback_is_about_them(kind, episodes, tmp_path, balancing):
    save_trajectories(tmp_path / "some", episodes)
    shown = {"demonstrator": str(balancing)} if "=" in kind else {}
    rlhf = learned(config(tmp_path / "some", kind=kind, feedback=shown))
    assert rlhf.labels == 12 and all(among(option, episodes) for option in options(rlhf))


def test_a_minari_dataset_gives_the_queries_that_its_file_gives(episodes, tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    trajectories_to_minari(episodes, "cartpole/wobbly-v0")
    save_trajectories(tmp_path / "some", episodes)
    runs = [RLHF(config(place)) for place in (tmp_path / "some", "minari:cartpole/wobbly-v0")]
    one, two = ([(o.origin, o.start) for q in rlhf.ask(6) for o in q.options] for rlhf in runs)
    assert one == two
    for rlhf in runs:
        rlhf.close()


def test_controls_ask_nothing_and_begin_with_the_size_of_the_recordings(episodes, tmp_path):
    save_trajectories(tmp_path / "some", episodes)
    rlhf = RLHF(config(tmp_path / "some").replace(labels=0, reward={"source": "untrained", "ensemble_size": 1}))
    steps = [(e.observations[:-1], e.actions, e.observations[1:]) for e in episodes]
    pays = rlhf.method.learner.model.reward_function()
    paid = pays(*(np.concatenate(arrays) for arrays in zip(*steps, strict=True)))
    assert np.sqrt(np.mean(np.square(paid))) == pytest.approx(1, abs=1e-3)
    rlhf.learn()
    assert rlhf.preferences == [] and rlhf.env_steps == 768
    rlhf.close()


def test_a_run_is_resumed_with_them_and_says_so(episodes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_trajectories("some", episodes)
    rlhf = RLHF(config("some", run_dir="run"))
    next(rlhf.rounds())
    rlhf.close()
    assert json.loads((tmp_path / "run/provenance.json").read_text())["own"] == {"query.trajectories": "some"}
    (tmp_path / "some").rename("elsewhere")
    assert main(["resume", "run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "trajectories some can't be read: there is none" in line
    (tmp_path / "elsewhere").rename("some")
    resumed = RLHF.resume("run")
    resumed.learn()
    pairs = [frozenset((o.origin.seed, o.start) for o in p.query.options) for p in resumed.preferences]
    assert len(set(pairs)) == len(pairs) == 12
    resumed.close()


# Windows known again


def test_windows_without_an_origin_are_known_again_by_what_was_observed():
    steps = np.arange(7.0)[:, None]
    episodes = [Trajectory(steps + 10 * i, np.zeros(6), np.zeros(6), Ending.UNFINISHED) for i in range(2)]
    asked = []
    for seed in range(45):  # ten windows of two steps
        how = {"length": 2, "n": 1, "rng": np.random.default_rng(seed), "asked": asked}
        asked += sample_candidates(episodes, **how).queries()
    names = {frozenset(float(option.observations[0, 0]) for option in query.options) for query in asked}
    assert len(names) == 45 and count_queries(episodes, 2, asked=asked) == 0


def test_windows_of_two_episodes_with_one_seed_are_told_apart(episodes):
    one = replace(episodes[0], ending=Ending.UNFINISHED)
    other = replace(one, observations=one.observations + 1)
    asked = sample_candidates([one], length=len(one) - 1, n=1, rng=np.random.default_rng(0)).queries()
    assert count_queries([one, other], len(one) - 1, asked=asked) == 6 - 1
    half = [replace(asked[0], options=(asked[0].left, other.cut(asked[0].left.start, len(one) - 1)))]
    assert count_queries([one, other], len(one) - 1, asked=half) == 6 - 1


# Clips


def test_a_clip_is_drawn_where_the_recipe_is_known_and_its_states_anywhere(episodes, tmp_path):
    save_trajectories(tmp_path / "some", episodes)
    save_trajectories(tmp_path / "bare", [replace(episode, origin=None) for episode in episodes])
    known, bare = RLHF(config(tmp_path / "some")), RLHF(config(tmp_path / "bare"))
    (with_recipe,), (without,) = known.ask(1), bare.ask(1)
    for option in with_recipe.options:
        replay(option, draw=False)
    with ClipCache(tmp_path / "clips", width=64) as cache:
        assert cache.wait(with_recipe).frames("left").shape[2] == 64
        with pytest.raises(ClipError, match="has no origin to replay it from.*; --draw states plots the observations"):
            cache.wait(without)
    with ClipCache(tmp_path / "states", width=64, draw="states") as cache:
        assert cache.wait(without).frames("left").shape[-1] == 3
    known.close()
    bare.close()


# What is refused


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"query": {"shown": 0.2}},
            "query.trajectories is .* and query.shown is 0.2, whose steps nobody would be asked",
        ),
        (
            {"env_id": "Pendulum-v1"},
            "query.trajectories .* was recorded in CartPole-v1, and env_id is Pendulum-v1; use",
        ),
        (
            {"kind": "correction"},
            "holds 4 trajectories that don't say how they began, .* with a correction; use another",
        ),
        ({"segment_length": 300}, "query.trajectories .*, the longest of .* steps, and segment_length is 300"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_made(settings, told, episodes, tmp_path):
    bare = "correction" in settings.values() or "segment_length" in settings
    kept = [replace(e, ending=Ending.UNFINISHED, origin=None if bare else e.origin) for e in episodes]
    save_trajectories(tmp_path / "some", kept)
    with pytest.raises(ValueError, match=told):
        RLHF(config(tmp_path / "some", run_dir=str(tmp_path / "run")).replace(**settings))
    assert not (tmp_path / "run").exists()
