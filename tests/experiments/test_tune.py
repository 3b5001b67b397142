import json
from dataclasses import replace

import numpy as np
import optuna
import pytest
import yaml

from experiments.questions import cartpole, mujoco
from experiments.tune import main
from experiments.tuning import study as study_module
from experiments.tuning.page import as_preset
from experiments.tuning.study import FURTHER, SEEDS, UNSEEN, Tuning, best_trial, open_study, play_finals, try_some
from rlhf_gym import RLHFConfig
from rlhf_gym.sweeps.records import read_rows

CARTPOLE = Tuning("CartPole-v1", "dqn", "true", {"total_timesteps": 1500})


@pytest.fixture
def pretend(monkeypatch):
    """Scores without runs: the nearer gamma is to 0.95, the better."""

    def score(tuning, tried, trial=None):
        gamma = tried["agent"]["options"]["gamma"] if tried else 0.5
        return [100 - 100 * abs(gamma - 0.95) + seed % 10 for seed in tuning.seeds]

    monkeypatch.setattr(study_module, "score", score)
    monkeypatch.setattr("experiments.tune.score", score)


TUNINGS = [
    Tuning("CartPole-v1", "ppo", "labels", {}),
    Tuning("Pendulum-v1", "ppo", "labels", {}),
    Tuning("CartPole-v1", "dqn", "labels", {}),
    Tuning("Acrobot-v1", "dqn", "labels", {}),
    Tuning("CartPole-v1", "a2c", "labels", {}),
    Tuning("Pendulum-v1", "sac", "labels", {}),
]


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda tuning: tuning.name)
def test_whatever_is_tried_makes_settings_that_hold(tuning):
    study = optuna.create_study()
    for _ in range(20):
        config = tuning.config(tuning.tried(study.ask()), 100)
        assert isinstance(config, RLHFConfig) and config.seed == 100 and config.algo == tuning.algo


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda tuning: tuning.name)
def test_the_preset_is_tried_first_and_once(tmp_path, tuning):
    for _ in range(2):
        study = open_study(tuning, tmp_path / "studies.db")
    first = tuning.config(tuning.tried(study.ask()), 100)
    preset = tuning.config({}, 100)
    assert {**preset.agent.options, **first.agent.options} == {**first.agent.options, **preset.agent.options}
    assert replace(first.agent, options=preset.agent.options) == preset.agent
    kept, own = study.trials[1].system_attrs["fixed_params"], tuning.presets_trial()  # the rest may be drawn alike
    assert kept.items() < own.items() and kept


def test_seeds_of_tuning_and_of_its_check_are_those_of_no_result():
    used = {seed for question in (cartpole, mujoco) for setting in question.SETTINGS.values() for seed in setting.seeds}
    assert not used & {*SEEDS, *FURTHER, *UNSEEN}
    assert len({*SEEDS, *FURTHER, *UNSEEN}) == len(SEEDS) + len(FURTHER) + len(UNSEEN)


def test_a_study_goes_on_where_it_was_and_has_as_many_trials_as_asked(tmp_path, pretend):
    def ended(study):
        return sum(trial.state.is_finished() for trial in study.trials)

    assert ended(try_some(CARTPOLE, tmp_path / "studies.db", 3)) == 3
    study = try_some(CARTPOLE, tmp_path / "studies.db", 5)
    assert ended(study) == 5
    assert ended(try_some(CARTPOLE, tmp_path / "studies.db", 5)) == 5
    assert json.loads(study.best_trial.user_attrs["returns"]) == pytest.approx(
        [study.best_value - 1, study.best_value, study.best_value + 1]
    )


def test_a_trial_that_was_lucky_on_three_seeds_loses_the_finals(tmp_path, monkeypatch):
    played = []

    def score(tuning, tried, trial=None):
        gamma = tried["agent"]["options"]["gamma"]
        if trial is None:
            played.append((gamma, tuple(tuning.seeds)))
        return [(1 - gamma if trial else gamma) for _ in tuning.seeds]

    monkeypatch.setattr(study_module, "score", score)
    study = try_some(CARTPOLE, tmp_path / "studies.db", 12)
    lucky, finalists = study.best_trial, sorted(study.trials, key=lambda trial: -trial.value)[:4]
    assert best_trial(study) == lucky
    for _ in range(2):
        play_finals(CARTPOLE, study)
    assert sorted(played) == sorted((trial.params["gamma"], FURTHER) for trial in finalists)
    assert best_trial(study).params["gamma"] == max(trial.params["gamma"] for trial in finalists)


def test_a_study_of_other_settings_is_refused(tmp_path):
    open_study(CARTPOLE, tmp_path / "studies.db")
    other = Tuning("CartPole-v1", "dqn", "true", {"total_timesteps": 9000})
    with pytest.raises(ValueError, match="use another --out"):
        open_study(other, tmp_path / "studies.db")


def test_what_is_found_is_a_preset_that_names_its_command_and_study(tmp_path, pretend):
    study = try_some(CARTPOLE, tmp_path / "studies.db", 2)
    text = as_preset(CARTPOLE, study, "python -m experiments.tune CartPole-v1 --algo dqn")
    assert text.startswith(
        "# tuned here: python -m experiments.tune CartPole-v1 --algo dqn (study CartPole-v1_dqn_true, "
    )
    preset = yaml.safe_load(text)["CartPole-v1/dqn"]
    assert RLHFConfig.for_env("CartPole-v1", algo="dqn", **preset).total_timesteps == 1500


def test_the_best_trial_and_the_preset_are_compared_on_unseen_seeds_and_on_the_page(tmp_path, pretend, capsys):
    arguments = {"algo": "dqn", "paid": "true", "total_timesteps": 1500, "workers": 1, "out": tmp_path}
    assert main("CartPole-v1", trials=12, **arguments) == 0
    assert main("CartPole-v1", trials=14, check=False, **arguments) == 0
    assert len(read_rows(tmp_path / "trials.csv")) == 14
    checked = read_rows(tmp_path / "checked.csv")
    assert [(row["who"], int(row["seed"])) for row in checked] == [(w, s) for w in ("tuned", "preset") for s in UNSEEN]
    assert len(read_rows(tmp_path / "finals.csv")) == 4 * len(FURTHER)
    page = (tmp_path / "README.md").read_text()
    tuned = np.mean([float(row["true_return_mean"]) for row in checked if row["who"] == "tuned"])
    assert tuned > 59.5  # by how much depends on what was drawn
    assert f"**CartPole-v1_dqn_true: {tuned:.1f} on unseen seeds, where the preset of then reached 59.5.**" in page
    assert "| preset | 59.5 | " in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"algo": "td3"}, "algo is 'td3'; use one that has a space: ppo, a2c, dqn, sac"),
        ({"trials": 0}, "trials is 0; use at least 1"),
        ({"algo": "sac"}, "Discrete"),
    ],
)
def test_what_cannot_be_tuned_is_said_in_one_line(tmp_path, capsys, changes, said):
    assert main("CartPole-v1", out=tmp_path, workers=1, **changes) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_two_workers_share_a_study(tmp_path):
    assert main("CartPole-v1", algo="dqn", paid="true", total_timesteps=1500, trials=4, check=False, out=tmp_path) == 0
    rows = read_rows(tmp_path / "trials.csv")
    assert sorted(int(row["trial"]) for row in rows)[:4] == [0, 1, 2, 3]
    assert all(row["state"] in ("complete", "pruned") for row in rows)
