"""A run goes on with a larger budget, and with no other settings than it began with."""

import json
import os
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlhf_gym import RLHF, RLHFConfig
from rlhf_gym.cli import main
from rlhf_gym.errors import BadInput
from rlhf_gym.queries.further import plan_further
from rlhf_gym.queries.schedules import Part, constant, front_loaded
from rlhf_gym.runs import read_run, run_to_resume
from rlhf_gym.runs.budget import budgets_so_far

SMALL: dict[str, Any] = {
    "labels": 6,
    "total_timesteps": 96 + 3 * 64,
    "segment_length": 5,
    "query": {"rounds": 3, "warm_up_steps": 96, "schedule": "constant"},
    "reward": {"steps": 3},
    "agent": {
        "n_envs": 2,
        "net_arch": (8,),
        "schedule": "linear",
        "options": {"n_steps": 32, "batch_size": 32, "n_epochs": 1},
    },
    "evaluation": {"n_episodes": 1},
}


def config(run_dir: Path, **settings: Any) -> RLHFConfig:
    return RLHFConfig.from_dict({"env_id": "CartPole-v1", "seed": 3, "run_dir": str(run_dir), **SMALL, **settings})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("finished") / "run"
    with closing(RLHF(config(place))) as rlhf:
        rlhf.learn()
    return place


def copy_of(run: Path, place: Path) -> Path:
    for path in run.rglob("*"):
        if path.is_file():
            target = place / path.relative_to(run)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return place


def edit(run: Path, **settings: Any) -> None:
    """Change config.yaml; a group takes a mapping."""
    file = run / "config.yaml"
    there = yaml.safe_load(file.read_text())
    for name, value in settings.items():
        there[name] = {**there[name], **value} if isinstance(value, dict) else value
    file.write_text(yaml.safe_dump(there))


# The plan


DONE = [Part(0, 10, 100, False), Part(1, 15, 100, False), Part(2, 20, 100, True)]


def test_rounds_that_are_done_stay_and_as_many_follow_as_fit_at_their_length() -> None:
    parts = plan_further(DONE, 40, total_timesteps=50 + 300 + 420, before=50, portion=20, schedule=constant())
    assert [part[:3] for part in parts[:3]] == [part[:3] for part in DONE]
    assert [part.steps for part in parts[3:]] == [100, 100, 120, 100]
    assert [part.labels for part in parts[3:]] == [25, 30, 35, 40]
    assert [part.last for part in parts] == [False] * 6 + [True]
    assert [part.round for part in parts] == list(range(7))


def test_labels_follow_the_schedule_and_are_spread_evenly_where_it_gives_none() -> None:
    how: dict[str, Any] = {"total_timesteps": 700, "before": 0, "portion": 100}
    early = plan_further(DONE, 60, schedule=front_loaded(first_fraction=0.1, by=1.0), **how)
    assert [part.labels for part in early[3:]] == [37, 48, 55, 60]  # nearly 4 : 3 : 2 : 1
    over = plan_further(DONE, 40, schedule=front_loaded(by=0.2), **how)
    assert [part.labels for part in over[3:]] == [25, 30, 35, 40]


def test_steps_to_be_shown_go_on_in_rounds_that_ask() -> None:
    done = [part._replace(shown=8 * (part.round + 1)) for part in DONE]
    how: dict[str, Any] = {"before": 0, "portion": 100, "schedule": constant()}
    parts = plan_further(done, 40, total_timesteps=324 + 240, shown_steps=40, shown_envs=4, **how)
    assert [(part.steps, part.shown) for part in parts[3:]] == [(100, 44), (100, 64)]


def test_a_budget_smaller_than_what_is_done_is_refused() -> None:
    how: dict[str, Any] = {"before": 50, "portion": 20, "schedule": constant()}
    with pytest.raises(ValueError, match="labels is 19, and the run has asked for 20; use at least as many"):
        plan_further(DONE, 19, total_timesteps=900, **how)
    with pytest.raises(ValueError, match="total_timesteps is 360, and the run has made 350 steps; use at least 370"):
        plan_further(DONE, 40, total_timesteps=360, **how)


# Runs


def test_a_finished_run_goes_on_with_more(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = copy_of(finished, tmp_path / "run")
    assert main(["resume", str(run), "--labels", "9", "--total-timesteps", "416"]) == 0
    assert "9 labels, 416 environment steps" in capsys.readouterr().out
    there = read_run(run)
    assert (there.config.labels, there.config.total_timesteps) == (9, 416)
    assert [(row["round"], row["labels"]) for row in there.metrics] == [(0, 2), (1, 4), (2, 6), (3, 8), (4, 9)]
    assert (run / "metrics.csv").read_text().startswith((finished / "metrics.csv").read_text())
    before = json.loads((run / "summary_after_3_rounds.json").read_text())
    assert before == read_run(finished).summary and there.summary["total_timesteps"] == 416
    assert budgets_so_far(run) == [(6, 288, 0), (9, 416, 3)]


def test_one_that_is_interrupted_again_goes_on_with_its_new_plan(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlhf_gym.runs.lifecycle.CHECKPOINT_SECONDS", 0.0)
    run = copy_of(finished, tmp_path / "run")
    with closing(RLHF.resume(run, labels=12, total_timesteps=480)) as rlhf:
        plan, rate = rlhf.plan, rlhf.agent
        list(islice(rlhf.rounds(), 1))
        # At step 256 of 384 learned from, a rate that falls linearly has a third left.
        assert rate.sb3.lr_schedule(0.0) == pytest.approx(rate.sb3.learning_rate / 3)
    with closing(RLHF.resume(run)) as rlhf:
        assert rlhf.plan == plan and rlhf.agent.steps == 256
        assert rlhf.learn()["labels"] == 12
    assert [row["labels"] for row in read_run(run).metrics] == [2, 4, 6, 8, 10, 12]


def test_an_unfinished_run_takes_another_budget_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlhf_gym.runs.lifecycle.CHECKPOINT_SECONDS", 0.0)
    with closing(RLHF(config(tmp_path))) as rlhf:
        next(rlhf.rounds())
    with closing(RLHF.resume(tmp_path, labels=10)) as rlhf:
        assert [part.labels for part in rlhf.plan] == [
            2,
            7,
            10,
        ]  # 4 : 3, as a constant rate spreads 10 over three rounds
        assert rlhf.learn()["labels"] == 10


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "is finished; there is nothing to resume"),
        ({"labels": 5, "total_timesteps": 400}, "labels is 5, and the run has asked for 6"),
        ({"labels": 9}, "total_timesteps is 288, and the run has made 288 steps; use at least 352"),
        ({"total_timesteps": 200}, "total_timesteps is 200, and the run has made 288 steps"),
    ],
)
def test_a_finished_run_is_left_as_it_is_where_the_budget_gives_it_nothing_to_do(
    more: dict[str, int], said: str, finished: Path
) -> None:
    before = {path: path.read_bytes() for path in finished.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=said):
        RLHF.resume(finished, **more)
    assert {path: path.read_bytes() for path in finished.iterdir() if path.is_file()} == before


def test_a_finished_run_without_a_checkpoint_says_what_to_do(finished: Path, tmp_path: Path) -> None:
    run = copy_of(finished, tmp_path / "run")
    (run / "checkpoints").rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="is finished, and has no checkpoint to go on from; begin another one with"):
        RLHF.resume(run, labels=9, total_timesteps=416)


# Settings that changed


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("begun") / "run"
    RLHF(config(place)).close()
    return place


@pytest.mark.parametrize(
    ("edited", "said"),
    [
        (
            {"segment_length": 9},
            "segment_length was 5 when the run in .* began, and is 9 in config.yaml; put that back",
        ),
        ({"seed": 4}, "seed was 3 when"),
        ({"query": {"rounds": 9}}, "query.rounds was 3 when"),
        ({"agent": {"options": {"n_steps": 32, "batch_size": 32, "n_epochs": 2}}}, "agent.options.n_epochs was 1 when"),
        ({"agent": {"options": {"n_steps": 32, "batch_size": 32}}}, "agent.options.n_epochs was 1 when .* is 10 in"),
        ({"teacher_options": {"beta": 1.0}, "teacher": "noisy"}, "teacher was 'oracle' when"),
        ({"env_kwargs": {"sutton_barto_reward": True}}, "env_kwargs"),
    ],
)
def test_a_setting_that_a_run_cannot_change_is_refused_by_its_name(
    edited: dict[str, Any], said: str, begun: Path, tmp_path: Path
) -> None:
    run = copy_of(begun, tmp_path / "run")
    edit(run, **edited)
    with pytest.raises(ValueError, match=said) as error:
        run_to_resume(run)
    assert "\n" not in str(error.value)


def test_settings_that_are_read_anew_are_honoured(begun: Path, tmp_path: Path) -> None:
    run = copy_of(begun, tmp_path / "run")
    edit(run, labels=8, evaluation={"n_episodes": 2}, feedback={"instructions": "faster"})
    with closing(RLHF.resume(run)) as rlhf:
        assert rlhf.learn()["n_eval_episodes"] == 2
        assert rlhf.labels == 8 and rlhf.config.feedback.instructions == "faster"


def test_a_run_of_an_earlier_version_which_does_not_say_how_it_began_goes_on(begun: Path, tmp_path: Path) -> None:
    run = copy_of(begun, tmp_path / "run")
    provenance = json.loads((run / "provenance.json").read_text())
    kept = {name: value for name, value in provenance.items() if name not in ("settings", "budgets", "folder")}
    (run / "provenance.json").write_text(json.dumps(kept))
    assert run_to_resume(run).labels == 6
    assert run_to_resume(run, labels=7).labels == 7


def test_options_that_a_run_was_begun_without_do_not_come_from_a_preset(tmp_path: Path) -> None:
    """CartPole's preset has others than an RLHFConfig of Python's."""
    options = {"n_steps": 32, "batch_size": 32}
    with closing(RLHF(config(tmp_path, agent={"n_envs": 2, "options": options}))) as rlhf:
        began = rlhf.config
    assert run_to_resume(tmp_path) == began


# Working folders


def test_a_relative_store_is_found_from_every_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with closing(RLHF(config(Path("run"), feedback={"store": "sqlite:///answers.db"}))) as rlhf:
        rounds = rlhf.rounds()
        next(rounds)
        os.chdir("other")
        next(rounds)
    with closing(RLHF.resume("../run")) as rlhf:
        assert rlhf.learn()["labels"] == 6
    assert (tmp_path / "answers.db").exists() and not list((tmp_path / "other").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("answers")) == ["other", "run"]


def test_a_store_that_is_not_there_is_not_made_anew(begun: Path, tmp_path: Path) -> None:
    run = copy_of(begun, tmp_path / "run")
    edit(run, feedback={"store": "sqlite:///answers.db"})
    with pytest.raises(
        ValueError, match="and there is no .*answers.db; resume where the run began, or write the whole"
    ):
        RLHF.resume(run)
    assert not Path("answers.db").exists()


def test_what_settings_name_by_a_relative_path_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(
        "environment: CartPole-v1\nprinciples:\n- name: upright\n  quantity: -abs(pole_angle)\n"
    )
    asked = {"teacher": "rules", "teacher_options": {"file": "rules.yaml"}}
    with closing(RLHF(config(Path("run"), **asked))) as rlhf:
        next(rlhf.rounds())
    monkeypatch.chdir("other")
    for copy in (tmp_path / "run").glob("rules*"):  # the run's own
        copy.unlink()
    with closing(RLHF.resume("../run")) as rlhf:
        assert rlhf.learn()["labels"] == 6


@pytest.mark.parametrize("budgets", [[1], "many", [[1, 2, 3, 4, 5, 6]], [["a", "b"]]])
def test_damaged_budgets_are_told_in_one_line(finished: Path, tmp_path: Path, budgets: Any) -> None:
    run = copy_of(finished, tmp_path / "run")
    told = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps(told | {"budgets": budgets}))
    with pytest.raises(BadInput, match=r"^budgets in .*provenance\.json are "):
        budgets_so_far(run)


@pytest.mark.parametrize("damage", [{"settings": [1]}, {"folder": 7}])
def test_a_damaged_beginning_is_told_in_one_line(finished: Path, tmp_path: Path, damage: Any) -> None:
    run = copy_of(finished, tmp_path / "run")
    told = json.loads((run / "provenance.json").read_text())
    (run / "provenance.json").write_text(json.dumps(told | damage))
    with pytest.raises(BadInput, match=r"provenance\.json is damaged: expected .*; bring it back"):
        RLHF.resume(run, labels=9)
