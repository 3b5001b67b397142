"""The run directory: written once, read back as it was."""

import json
import math
import os
import time
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from rlhf_gym.config import RLHFConfig
from rlhf_gym.errors import BadInput
from rlhf_gym.runs import Round, RunDirectory, Stopwatch, metrics_so_far, read_run
from rlhf_gym.runs.directory import FILES
from rlhf_gym.runs.metrics import add_round, forget_rounds_from


def round_(number: int) -> Round:
    """A round of which no figure equals another."""
    return Round(
        round=number,
        env_steps=1024 * number,
        labels=10 * number,
        asked=11 * number,
        true_return=0.1 + number,
        learned_return=-1 / 3,
        goal_return=0.2 + number,
        episode_length=1e-300,
        reward_loss=0.7,
        reward_loss_heldout=math.nan,
        reward_accuracy=2 / 3,
        reward_accuracy_heldout=math.nan,
        disagreement=0.11,
        tie_rate=0.05,
        seconds=12.5,
    )


def finished(path: Path) -> RunDirectory:
    """A run directory with all that :func:`read_run` reads."""
    run = RunDirectory(path)
    RLHFConfig.for_env("Pendulum-v1", labels=3, seed=9).to_yaml(run / "config.yaml")
    run.write_json("provenance.json", {"commit": None})
    for number in (1, 2):
        add_round(run / "metrics.csv", round_(number))
    run.write_json("summary.json", {"labels": 3, "true_return_mean": -1.5, "reward_accuracy_heldout": None})
    return run


# Where a run may go


@pytest.mark.parametrize("held", FILES)
def test_a_directory_that_holds_any_file_of_a_run_is_refused(held: str, tmp_path: Path) -> None:
    (tmp_path / held).write_text("")
    with pytest.raises(ValueError, match=rf"run_dir .* already holds a run \({held}\); use another directory"):
        RunDirectory(tmp_path)
    assert os.listdir(tmp_path) == [held]


def test_a_file_is_refused_as_run_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ValueError, match="run_dir .*file is a file; use a directory"):
        RunDirectory(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(ValueError, match=r"run_dir .*file/run can't be made \(.+\); use a place you may write to"):
        RunDirectory(tmp_path / "file" / "run")


def test_a_directory_that_is_missing_is_made_and_one_with_other_files_is_used(tmp_path: Path) -> None:
    assert RunDirectory(tmp_path / "a" / "b").path.is_dir()
    (tmp_path / "notes.txt").write_text("kept")
    RunDirectory(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "kept"


# What is written, and read back


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    run = read_run(str(tmp_path / "run"))
    assert run.path == tmp_path / "run"
    assert run.config == RLHFConfig.for_env("Pendulum-v1", labels=3, seed=9)
    assert run.summary == {"labels": 3, "true_return_mean": -1.5, "reward_accuracy_heldout": None}
    assert len(run.metrics) == 2
    for row, written in zip(run.metrics, (asdict(round_(1)), asdict(round_(2))), strict=True):
        assert list(row) == list(written)
        assert all(row[name] == pytest.approx(written[name], rel=0, abs=0, nan_ok=True) for name in row)


def test_metrics_are_a_row_a_round_under_one_header(tmp_path: Path) -> None:
    finished(tmp_path)
    header, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert header.split(",") == [field.name for field in fields(Round)]
    assert [row.split(",")[:4] for row in rows] == [["1", "1024", "10", "11"], ["2", "2048", "20", "22"]]


def test_each_round_is_on_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for number in (1, 2, 3):
        add_round(run / "metrics.csv", round_(number))
        assert len((tmp_path / "metrics.csv").read_text().splitlines()) == number + 1


def test_a_run_that_is_still_going_on_gives_its_finished_rows(tmp_path: Path) -> None:
    assert metrics_so_far(tmp_path) == []
    (tmp_path / "metrics.csv").write_text("round,true_return\n0,nan\n1,21.5\n2,3")
    first, second = metrics_so_far(tmp_path)
    assert math.isnan(first["true_return"]) and second == {"round": 1, "true_return": 21.5}


@pytest.mark.parametrize("missing", ["config.yaml", "provenance.json", "metrics.csv"])
def test_a_run_that_is_not_finished_is_refused_by_what_is_missing(missing: str, tmp_path: Path) -> None:
    (finished(tmp_path) / missing).unlink()
    with pytest.raises(ValueError, match=rf"holds no finished run \({missing} missing\)"):
        read_run(tmp_path)


def test_who_asks_for_an_unfinished_run_is_told_how_to_finish_it(tmp_path: Path) -> None:
    (finished(tmp_path) / "summary.json").unlink()
    with pytest.raises(BadInput, match="isn't finished; go on with it: rlhf-gym resume "):
        read_run(tmp_path)


def test_who_asks_for_what_save_left_is_told_what_can_be_done_with_it(tmp_path: Path) -> None:
    run = finished(tmp_path)
    for name in ("summary.json", "metrics.csv"):
        (run / name).unlink()
    (run / "policy.zip").touch()
    with pytest.raises(BadInput, match="is what save left of a run, without its rounds; evaluate or watch it"):
        read_run(tmp_path)


def test_a_directory_that_is_not_there_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="nowhere isn't there; name a run directory"):
        read_run(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", '{"labels": 3'),
        ("metrics.csv", "round,env_steps\n1,many\n"),
        ("metrics.csv", "round,env_steps\n1\n"),
        ("metrics.csv", "round,env_steps\n1,2,3\n"),
        ("metrics.csv", "round,env_steps\n1,2\n"),
        ("summary.json", '{"a": 1}'),
    ],
)
def test_a_damaged_run_is_refused_in_one_line(name: str, content: str, tmp_path: Path) -> None:
    (finished(tmp_path) / name).write_text(content)
    with pytest.raises(ValueError, match=r"metrics.csv or summary.json of .* is damaged \(.+\); run it again") as error:
        read_run(tmp_path)
    assert "\n" not in str(error.value)


def test_json_is_written_for_people_too(tmp_path: Path) -> None:
    RunDirectory(tmp_path).write_json("summary.json", {"a": 1, "b": None})
    text = (tmp_path / "summary.json").read_text()
    assert json.loads(text) == {"a": 1, "b": None} and len(text.splitlines()) == 4


def test_rows_that_were_cut_off_or_damaged_are_dropped_where_a_run_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_bytes(b"round,seconds\r\n0,1.5\r\n1,2.5\r\n\0\0\0\r\n\xff\xfe,1\r\n2,3.5\r\n3,4")
    forget_rounds_from(file, 2)
    assert metrics_so_far(tmp_path) == [{"round": 0, "seconds": 1.5}, {"round": 1, "seconds": 2.5}]
    assert os.listdir(tmp_path) == ["metrics.csv"]


# Time


def test_a_stopwatch_adds_up_what_went_where(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    watch = Stopwatch()
    for seconds in (1, 2):
        with watch.timing("policy"):
            now += seconds
    now += 4
    with pytest.raises(KeyError), watch.timing("reward"):
        now += 8
        raise KeyError
    assert dict(watch.parts) == {"policy": 3, "reward": 8}
    assert watch.seconds == 15
    assert watch.parts["query"] == 0  # nothing went there
