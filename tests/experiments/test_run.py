import math
import threading
from pathlib import Path

import pytest

from experiments.harness import older
from experiments.harness import run as run_module
from experiments.harness.adopt import CURVES
from experiments.harness.fingerprint import code_of
from experiments.harness.jobs import Job, in_fresh_process
from experiments.harness.report import figures
from experiments.harness.results import read_results
from experiments.harness.run import main, run
from experiments.harness.settings import known_columns, measure_names
from experiments.questions import cartpole
from experiments.questions.cartpole.settings import HOLDING
from rlhf_gym.sweeps.records import append_rows, read_rows, widen


def pretend(job):
    """Rows as a worker makes them, without the run."""
    settings = cartpole.TESTING if job.testing else cartpole.SETTINGS
    row = known_columns(job.experiment, job.setting, settings[job.setting].run_config(job.seed))
    row |= {"true_return_mean": 400.0 + job.seed, "wall_seconds": 30.0} | dict.fromkeys(measure_names(settings), 0.2)
    row |= {
        "code": "now",
        "versions": "torch 2",
        "python": "3",
        "commit": "abc",
        "machine": "a machine",
        "date": "2030-01-01",
    }
    rounds = [
        dict.fromkeys(CURVES[2:], math.nan) | {"env_steps": 100 * n, "labels": n, "true_return": 9.0 * n, "seconds": n}
        for n in (1, 2)
    ]
    return {"run": row, "curves": [{"setting": job.setting, "seed": job.seed} | r for r in rounds]}


def config_of(setting):
    return cartpole.TESTING[setting].run_config(0)


def never(job):
    raise AssertionError(f"{job} was run again")


def done(folder):
    return [(row["setting"], int(row["seed"])) for row in read_rows(folder / "runs.csv")]


LABELS = ("labels_50", "labels_20")


def test_testing_subset_runs_from_end_to_end_and_a_second_call_runs_nothing(tmp_path):
    assert run("cartpole", testing=True, results_dir=tmp_path) == {}
    folder = tmp_path / "cartpole-testing"
    rows = {row["setting"]: row for row in read_rows(folder / "runs.csv")}
    assert set(rows) == set(cartpole.TESTING)
    held = rows["hold_at_one_100"]
    assert float(held["episode_length"]) > 5 and 0 < float(held["distance_last_200"]) < 3
    assert 0 < float(held["goal_return"]) < 500
    assert rows["labels_50"]["episode_length"] == ""  # not measured there
    assert float(rows["labels_50"]["n_eval_episodes"]) == 2
    assert held["code"] == code_of(config_of("hold_at_one_100"), HOLDING.values()) != rows["labels_50"]["code"]
    assert "torch" in held["versions"] and held["command"].endswith("--only hold_at_one_100 --seeds 0 --testing")
    curves = [row for row in read_rows(folder / "curves.csv") if row["setting"] == "labels_50"]
    assert [float(row["labels"]) for row in curves][-1] == 40
    assert 1 <= len(curves) == len({row["env_steps"] for row in curves})

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run("cartpole", testing=True, results_dir=tmp_path, execute=never) == {}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_only_what_is_missing_is_run(tmp_path):
    run("cartpole", only=LABELS, seeds=[1, 3], results_dir=tmp_path, execute=pretend)
    asked = []

    def execute(job):
        asked.append((job.setting, job.seed))
        return pretend(job)

    run("cartpole", only=["labels_20"], results_dir=tmp_path, execute=execute)
    assert sorted(asked) == [("labels_20", 0), ("labels_20", 2), ("labels_20", 4)]
    assert len(done(tmp_path / "cartpole")) == 7


def test_a_run_that_fails_is_reported_and_the_others_are_kept(tmp_path, capsys):
    def execute(job):
        if job.seed == 2:
            raise RuntimeError("the pole broke")
        return pretend(job)

    failed = run("cartpole", only=["labels_50"], results_dir=tmp_path, execute=execute)
    assert failed == {Job("cartpole", "labels_50", 2): "the pole broke"}
    assert sorted(done(tmp_path / "cartpole")) == [("labels_50", seed) for seed in (0, 1, 3, 4)]
    assert "labels_50 seed 2 failed: the pole broke" in capsys.readouterr().err


def test_so_many_jobs_run_at_the_same_time(tmp_path):
    meet = threading.Barrier(2, timeout=10)

    def execute(job):
        meet.wait()  # passes only if another run is under way
        return pretend(job)

    assert run("cartpole", only=["labels_50"], seeds=[0, 1], jobs=2, results_dir=tmp_path, execute=execute) == {}


def test_curves_kept_before_a_crash_are_not_kept_twice(tmp_path):
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=pretend)
    folder = tmp_path / "cartpole"
    (folder / "runs.csv").unlink()  # as if stopped between the two files
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=pretend)
    assert len(read_rows(folder / "curves.csv")) == 2
    assert done(folder) == [("labels_50", 0)]


@pytest.mark.parametrize(
    "damage", [lambda text: text.replace("agent.options", "agent.option", 1), lambda text: "setting,seed\n" + text]
)
def test_a_changed_header_is_refused_before_anything_is_run(tmp_path, damage):
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=pretend)
    path = tmp_path / "cartpole" / "runs.csv"
    path.write_text(damage(path.read_text()))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="runs.csv"):
        run("cartpole", only=["labels_50"], results_dir=tmp_path, execute=never)
    assert path.read_bytes() == before


def test_a_new_column_in_the_summary_is_refused_and_nothing_overwritten(tmp_path):
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=pretend)
    path = tmp_path / "cartpole" / "runs.csv"
    before = path.read_bytes()

    def execute(job):
        rows = pretend(job)
        return rows | {"run": rows["run"] | {"kilowatt_hours": 1}}

    with pytest.raises(ValueError, match="it lacks kilowatt_hours; nothing was written"):
        run("cartpole", only=["labels_50"], results_dir=tmp_path, execute=execute)
    assert path.read_bytes() == before


def test_rows_of_other_settings_under_the_same_name_are_refused(tmp_path):
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=pretend)
    path = tmp_path / "cartpole" / "runs.csv"
    path.write_text(path.read_text().replace("60000", "50000"))
    with pytest.raises(
        ValueError, match="labels_50 seed 0 with total_timesteps '50000', but the setting now says 60000"
    ):
        run("cartpole", only=["labels_50"], results_dir=tmp_path, execute=never)


def test_two_commands_do_not_write_the_same_results(tmp_path):
    def execute(job):
        with pytest.raises(ValueError, match="is being written by another command; wait"):
            run("cartpole", only=["labels_50"], results_dir=tmp_path, execute=never)
        return pretend(job)

    assert run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=execute) == {}
    run("cartpole", only=["labels_50"], seeds=[1], results_dir=tmp_path, execute=pretend)  # the lock is gone


def test_a_process_that_fails_gives_what_it_said():
    with pytest.raises(RuntimeError, match="unknown setting|no_such_setting"):
        in_fresh_process(Job("cartpole", "no_such_setting", 0))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"name": "cartpool"}, "there is no experiment 'cartpool'"),
        ({"only": ("labels_5",)}, "unknown setting labels_5; did you mean labels_50?"),
        ({"seeds": (17,)}, "seeds has 17; the seeds of these settings are 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        ({"jobs": 0}, "jobs is 0; use at least 1"),
    ],
)
def test_bad_input_ends_with_status_2_and_one_line(tmp_path, capsys, arguments, line):
    name = arguments.pop("name", "cartpole")
    assert main(name, results_dir=tmp_path, **arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(line) and error.count("\n") == 1


def test_status_is_1_when_a_run_failed_and_0_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "run", lambda *args, **kwargs: {Job("cartpole", "labels_50", 0): "broke"})
    assert main("cartpole", results_dir=Path(tmp_path)) == 1
    monkeypatch.setattr(run_module, "run", lambda *args, **kwargs: {})
    assert main("cartpole", results_dir=Path(tmp_path)) == 0


def test_rows_that_are_older_than_a_setting_are_widened_only_when_told_to(tmp_path):
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=pretend)
    path = tmp_path / "cartpole" / "runs.csv"
    now = read_rows(path)
    without = [{name: value for name, value in row.items() if name != "agent.n_envs"} for row in now]
    path.unlink()
    append_rows(path, without)
    with pytest.raises(ValueError, match=r"lacks agent\.n_envs; .* widen them with --adopt"):
        run("cartpole", only=["labels_50"], results_dir=tmp_path, execute=never)
    run("cartpole", only=["labels_50"], results_dir=tmp_path, adopt=True, execute=pretend)
    assert read_rows(path)[0] == now[0]
    assert [row["agent.n_envs"] for row in read_rows(path)] == ["8"] * 5


def test_rows_that_are_older_than_a_measure_are_widened_too(tmp_path):
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=pretend)
    path = tmp_path / "cartpole" / "runs.csv"
    now, measure = read_rows(path), measure_names(cartpole.SETTINGS)[-1]
    path.unlink()
    append_rows(path, [{name: value for name, value in row.items() if name != measure} for row in now])
    run("cartpole", only=["labels_50"], seeds=[1], results_dir=tmp_path, adopt=True, execute=pretend)
    assert list(read_rows(path)[0]) == list(now[0])
    assert [row[measure] for row in read_rows(path)] == ["", "0.2"]


def test_rounds_that_are_older_than_a_figure_are_refused_before_a_run_and_widened_when_told_to(tmp_path):
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=pretend)
    path = tmp_path / "cartpole" / "curves.csv"
    now = read_rows(path)
    path.unlink()
    append_rows(path, [{name: value for name, value in row.items() if name != CURVES[-1]} for row in now])
    with pytest.raises(ValueError, match=rf"curves.csv .* lacks {CURVES[-1]}; .* widen them with --adopt"):
        run("cartpole", only=["labels_50"], results_dir=tmp_path, execute=never)
    run("cartpole", only=["labels_50"], seeds=[0, 1], results_dir=tmp_path, adopt=True, execute=pretend)
    assert read_rows(path)[:2] == [row | {CURVES[-1]: ""} for row in now]
    assert [row["seed"] for row in read_rows(path)] == ["0", "0", "1", "1"]
    assert figures(read_results("cartpole", results_dir=tmp_path))


def test_a_column_that_this_code_does_not_write_is_not_dropped_by_widening(tmp_path):
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=pretend)
    path = tmp_path / "cartpole" / "runs.csv"
    before = path.read_bytes()
    with pytest.raises(ValueError, match="has seed, which this code doesn't write"):
        widen(path, [name for name in read_rows(path)[0] if name != "seed"], lambda row: {})
    assert path.read_bytes() == before


def test_a_clip_is_kept_beside_the_rows(tmp_path):
    run(
        "cartpole",
        only=["labels_50"],
        seeds=[0],
        results_dir=tmp_path,
        execute=lambda job: pretend(job) | {"clip": b"x"},
    )
    assert (tmp_path / "cartpole" / "labels_50.webp").read_bytes() == b"x"


def test_settings_are_chosen_by_patterns_in_their_own_order(tmp_path):
    asked = []

    def execute(job):
        asked.append((job.setting, job.seed))
        return pretend(job)

    run("cartpole", only=["*_20", "labels_5?"], seeds=[1, 0], jobs=1, results_dir=tmp_path, execute=execute)
    assert asked == [("labels_50", 0), ("labels_50", 1), ("labels_20", 0), ("labels_20", 1)]


def test_rows_of_older_code_are_done_again_and_kept_only_when_told_to(tmp_path, monkeypatch):
    monkeypatch.setattr(older, "code_of", lambda config, measures: "now")
    run("cartpole", only=LABELS, seeds=[0, 1], jobs=1, results_dir=tmp_path, execute=pretend)
    monkeypatch.setattr(older, "code_of", lambda config, measures: "later")
    folder = tmp_path / "cartpole"
    kept = {name: (folder / name).read_bytes() for name in ("runs.csv", "curves.csv")}
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=never)
    assert {name: (folder / name).read_bytes() for name in kept} == kept
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, retire=True, execute=pretend)
    assert done(folder) == [("labels_50", 1), ("labels_20", 0), ("labels_20", 1), ("labels_50", 0)]
    (earlier,) = read_rows(folder / "earlier_runs.csv")
    assert (earlier["setting"], earlier["seed"], earlier["code"]) == ("labels_50", "0", "now")
    assert len(read_rows(folder / "earlier_curves.csv")) == 2 and len(read_rows(folder / "curves.csv")) == 8


def test_retired_rows_stand_under_all_columns_that_any_of_them_has(tmp_path, monkeypatch):
    folder = tmp_path / "cartpole"
    append_rows(folder / "earlier_runs.csv", [{"setting": "labels_50", "seed": 7, "first_steps": 9}])
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, execute=pretend)
    run("cartpole", only=["labels_50"], seeds=[0], results_dir=tmp_path, retire=True, execute=pretend)
    old, new = read_rows(folder / "earlier_runs.csv")
    assert (old["first_steps"], old["code"], new["first_steps"], new["code"]) == ("9", "", "", "now")
    assert done(folder) == [("labels_50", 0)]
