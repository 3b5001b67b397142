"""Runs that learn from what a demonstrator shows."""

import json
from pathlib import Path

import numpy as np
import pytest

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.cli import main
from rlhf_gym.envs import replay, save_trajectories
from rlhf_gym.evaluation import play
from rlhf_gym.preferences import Shown, content

FEW = {
    "labels": 8,
    "total_timesteps": 640,
    "segment_length": 20,
    "env_kwargs": {"max_episode_steps": 60},
    "evaluation": {"n_episodes": 1},
}
QUERY = {"rounds": 3, "warm_up_steps": 256}
REWARD = {"ensemble_size": 1, "steps": 5}
AGENT = {"n_envs": 2, "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 1}}


def config(demonstrator, **settings):
    feedback = {"demonstrator": None if demonstrator is None else str(demonstrator)}
    env_id = settings.pop("env_id", "CartPole-v1")
    return RLHFConfig.for_env(env_id, query=QUERY, reward=REWARD, agent=AGENT, feedback=feedback, **{**FEW, **settings})


def learned(settings):
    rlhf = RLHF(settings)
    rlhf.learn()
    rlhf.close()
    return rlhf


def made(rlhf):
    return [p for p in rlhf.preferences if isinstance(p.answer, Shown)]


@pytest.mark.parametrize("teacher", ["oracle", "noisy"])
def test_a_run_learns_from_demonstrations_and_comparisons(teacher, balancing):
    rlhf = learned(config(balancing, kind="demonstration=0.5,comparison=0.5", teacher=teacher))
    assert (rlhf.labels, len(made(rlhf))) == (8, 4)
    for preference in made(rlhf):
        shown = preference.answer.segment
        assert shown.lived == shown.length == 20  # it holds the pole
        replay(shown, draw=False)
    demonstrated = [choice for choice in rlhf.answers.choices if len(choice.options) == 4]
    assert len(demonstrated) == 4 and all(choice.target == (1, 0, 0, 0) for choice in demonstrated)


def test_a_run_learns_from_corrections(balancing):
    rlhf = learned(config(balancing, kind="correction"))
    assert len(made(rlhf)) == len(rlhf.answers.choices) == 8
    for preference in made(rlhf):
        better, original = preference.answer.segment, preference.query.left
        assert np.array_equal(better.observations[0], original.observations[0])
        assert better.true_return >= original.true_return
        replay(better, draw=False)


def test_where_nothing_terminates_it_shows_as_much(balancing):
    rlhf = learned(config(balancing, kind="demonstration=0.5,correction=0.5", env={"fixed_horizon": 50}))
    assert {p.answer.segment.lived for p in made(rlhf)} == {20}
    assert {p.answer.segment.origin.fixed_horizon for p in made(rlhf)} == {50}


def test_the_same_run_twice_is_shown_the_same(balancing):
    runs = [learned(config(balancing, kind="demonstration", seed=3)) for _ in range(2)]
    one, two = ([content(p.answer.segment) for p in made(rlhf)] for rlhf in runs)
    assert one == two


def test_other_answers_are_those_of_a_run_without_demonstrator(balancing):
    """Nothing else is drawn otherwise for it: a noisy teacher's errors are the same."""
    noisy = {"teacher": "noisy", "teacher_options": {"eps_mistake": 0.5}}
    with_it = RLHF(config(balancing, kind="demonstration=0.5,comparison=0.5", **noisy))
    without = RLHF(config(None, **noisy))
    queries = without.ask(8)
    answers = [rlhf.teacher.answer(queries) for rlhf in (with_it, without)]
    assert answers[0] == answers[1]
    with_it.close()
    without.close()


# On disk


def test_a_run_says_what_showed_it_and_is_resumed_with_it(balancing, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("expert.zip").write_bytes(balancing.read_bytes())
    rlhf = RLHF(config("expert.zip", kind="demonstration=0.5,comparison=0.5", run_dir="run"))
    next(rlhf.rounds())
    before = rlhf.labels
    rlhf.close()
    assert json.loads(Path("run/provenance.json").read_text())["own"] == {"feedback.demonstrator": "expert.zip"}
    assert RLHFConfig.from_yaml("run/config.yaml").feedback.demonstrator == "expert.zip"

    Path("expert.zip").rename("elsewhere.zip")
    assert main(["resume", "run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "feedback.demonstrator is expert.zip, which isn't there; use" in line

    Path("elsewhere.zip").rename("expert.zip")
    resumed = RLHF.resume("run")
    resumed.learn()
    assert 0 < before < resumed.labels == 8
    assert len({p.answer.segment.origin.seed for p in made(resumed)}) == len(made(resumed)) == 4
    resumed.close()


def test_on_the_command_line_an_expert_shows_what_it_has_learned(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few = [
        "--total-timesteps",
        "2048",
        "--reward.steps",
        "5",
        "--query.rounds",
        "2",
        "--evaluation.n-episodes",
        "1",
        "--labels",
        "6",
    ]
    assert main(["train", "--reward.source", "true", "--run-dir", "expert", *few]) == 0
    mix = ["--kind", "demonstration=0.5,comparison=0.5", "--demonstrator", "expert"]
    assert main(["train", *mix, "--run-dir", "run", *few]) == 0
    assert main(["train", *mix, "--kind", "correction", "--run-dir", "corrected", *few]) == 0
    assert capsys.readouterr().out.count("seed 0: 6 labels") == 2


def test_recorded_trajectories_are_shown_in_a_run(balancing, tmp_path):
    save_trajectories(
        tmp_path / "some", play(lambda o: (np.zeros(len(o), int), None), "CartPole-v1", seed=0, n_episodes=2)
    )
    rlhf = learned(config(tmp_path / "some", kind="demonstration"))
    assert made(rlhf)  # what is no better than the policy is not shown
    assert not any(p.answer.segment.actions.any() for p in made(rlhf))


# What is refused


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "kind is comparison, for which nothing is shown; ask for a demonstration or a correction"),
        ({"kind": "demonstration", "teacher": "store"}, "teacher is store; people show it themselves: leave it out"),
        ({"kind": "correction", "env_id": "Pendulum-v1"}, r"shapes \(4,\) and \(\), and the run's environment has"),
    ],
)
def test_a_demonstrator_that_is_of_no_use_is_refused(settings, told, balancing, tmp_path):
    with pytest.raises(ValueError, match=told):
        RLHF(config(balancing, run_dir=str(tmp_path / "run"), **settings))
    assert not (tmp_path / "run").exists()
