import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from rlhf_gym import RLHFConfig
from rlhf_gym.cli import main
from rlhf_gym.config.named import BY_NAME, OPTIONS_OF
from rlhf_gym.errors import BadInput
from rlhf_gym.registry import TABLES, check_user_options
from rlhf_gym.runs.in_store import with_place_in_store
from rlhf_gym.sweeps.executors import locally
from rlhf_gym.sweeps.fresh_process import ProcessDied, fresh_process
from rlhf_gym.sweeps.plan import read_plan
from rlhf_gym.sweeps.records import read_rows
from rlhf_gym.sweeps.sweep import reached, sweep
from rlhf_gym.sweeps.worker import done

SHORT = {
    "env_id": "CartPole-v1",
    "labels": 4,
    "total_timesteps": 512,
    "query": {"rounds": 1, "warm_up_steps": 128},
    "agent": {"n_envs": 4, "options": {"n_steps": 64, "batch_size": 64, "n_epochs": 1}},
    "evaluation": {"n_episodes": 1},
}
PLAN = {"shared": SHORT, "settings": {"four": {}, "six": {"labels": 6}}, "seeds": [0, 3]}


@pytest.fixture
def file(tmp_path):
    return written(tmp_path, PLAN)


def written(folder, plan):
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    return path


def pretend(job):
    """Rows as a worker makes them, without the run."""
    return {
        "run": job.known | {"true_return_mean": 100.0 + job.seed},
        "curves": [{"setting": job.setting, "seed": job.seed, "env_steps": n} for n in (1, 2)],
    }


def never(job):
    raise AssertionError(f"{job.title} was run again")


def test_every_setting_is_run_with_every_seed_over_what_they_share(file, tmp_path):
    runs = read_plan(file, out=tmp_path)
    assert [(run.setting, run.seed) for run in runs] == [("four", 0), ("six", 0), ("four", 3), ("six", 3)]
    assert [(run.known["labels"], run.known["seed"], run.known["total_timesteps"]) for run in runs[:2]] == [
        (4, 0, 512),
        (6, 0, 512),
    ]
    assert runs[3].run_dir == str(tmp_path / "runs" / "six_seed3")
    assert runs[3].command.endswith("--only six --seeds 3")


def test_only_what_is_missing_is_run_and_rows_are_never_doubled(file, tmp_path, capsys):
    assert sweep(file, out=tmp_path / "out", only=["f*"], execute=pretend) == {}
    assert sweep(file, out=tmp_path / "out", seeds=[0], execute=pretend) == {}
    assert sweep(file, out=tmp_path / "out", execute=pretend) == {}
    assert sweep(file, out=tmp_path / "out", execute=never) == {}
    rows = read_rows(tmp_path / "out" / "runs.csv")
    assert sorted((row["setting"], row["seed"]) for row in rows) == [
        ("four", "0"),
        ("four", "3"),
        ("six", "0"),
        ("six", "3"),
    ]
    assert len(read_rows(tmp_path / "out" / "curves.csv")) == 8
    assert "4 already there" in capsys.readouterr().out
    assert set(reached(tmp_path / "out")) == {
        f"{name}: true return 101.5 (mean of 2 seeds, 100.0 to 103.0)" for name in ("four", "six")
    }


def test_where_a_goal_is_set_its_return_is_told(file, tmp_path, capsys):
    def judged(job):
        made = pretend(job)
        return made | {"run": made["run"] | {"goal_return_mean": -3.0 - job.seed}}

    assert sweep(file, out=tmp_path / "out", only=["four"], execute=judged) == {}
    assert "four seed 3: goal return -6.0" in capsys.readouterr().out
    assert list(reached(tmp_path / "out")) == ["four: goal return -4.5 (mean of 2 seeds, -6.0 to -3.0)"]


def test_a_run_that_fails_is_named_and_the_others_are_kept(file, tmp_path):
    def some(job):
        if job.setting == "six":
            raise RuntimeError("no more")
        return pretend(job)

    failed = sweep(file, out=tmp_path / "out", execute=some)
    assert {(job.title, said) for job, said in failed.items()} == {
        ("six seed 0", "no more"),
        ("six seed 3", "no more"),
    }
    assert len(read_rows(tmp_path / "out" / "runs.csv")) == 2


def test_rows_of_other_settings_are_refused(file, tmp_path):
    sweep(file, out=tmp_path / "out", execute=pretend)
    file = written(tmp_path, PLAN | {"settings": {"four": {"segment_length": 7}, "six": {"labels": 6}}})
    with pytest.raises(BadInput, match="four seed 0 with segment_length '25', but the file now says '7'"):
        sweep(file, out=tmp_path / "out", execute=never)


def begin(job):
    """Write what a run that was interrupted has left."""
    Path(job.run_dir).mkdir(parents=True)
    config = with_place_in_store(RLHFConfig.over_preset(json.loads(job.config)).replace(run_dir=job.run_dir))
    config.to_yaml(Path(job.run_dir) / "config.yaml")


def test_a_table_of_other_columns_is_refused_before_any_run(file, tmp_path):
    sweep(file, out=tmp_path / "out", seeds=[0], execute=pretend)
    table = tmp_path / "out" / "runs.csv"
    table.write_text(table.read_text().replace("segment_length", "an_older_name"))
    with pytest.raises(BadInput, match=r"the header of .*runs.csv isn't .*: it lacks segment_length; nothing was"):
        sweep(file, out=tmp_path / "out", execute=never)
    rounds = tmp_path / "out" / "curves.csv"
    table.write_text(table.read_text().replace("an_older_name", "segment_length"))
    rounds.write_text(rounds.read_text().replace("env_steps", "steps"))
    before = table.read_text()
    with pytest.raises(BadInput, match="curves.csv isn't the one this code writes: it lacks env_steps"):
        sweep(file, out=tmp_path / "out", only=["four"], execute=pretend)
    assert table.read_text() == before  # no row without its rounds


def test_a_sweep_with_people_says_where_they_answer_each_run(tmp_path, capsys):
    settings = {
        "page": {"teacher": "web"},
        "keys": {"teacher": "terminal"},
        "shared": {"teacher": "store", "feedback": {"store": "postgresql://ann:secret@h/db"}},
        "oracle": {},
    }
    file, out = written(tmp_path, PLAN | {"settings": settings, "seeds": [0]}), tmp_path / "out"
    assert sweep(file, out=out, execute=pretend) == {}
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("people")] == [
        f"people answer keys seed 0 by: rlhf-gym label {out}/runs/keys_seed0",
        f"people answer page seed 0 by: rlhf-gym label {out}/runs/page_seed0 --web",
        "people answer all of them on one page: rlhf-gym label --web --store postgresql://ann@h/db",
    ]
    with pytest.raises(BadInput, match="setting keys has teacher terminal, but without its run directory nobody"):
        sweep(file, out=tmp_path / "none", keep_runs=False, execute=never)


def test_a_run_that_other_settings_began_is_not_gone_on_with(file, tmp_path):
    (job, *_) = read_plan(file, out=tmp_path / "out")
    begin(job)
    assert sweep(file, out=tmp_path / "out", seeds=[3], execute=pretend) == {}
    file = written(tmp_path, PLAN | {"settings": {"four": {"segment_length": 7}, "six": {"labels": 6}}})
    with pytest.raises(BadInput, match=r"runs/four_seed0 has four seed 0 with segment_length '25', .* now says '7'"):
        sweep(file, out=tmp_path / "out", seeds=[0], execute=never)
    file = written(tmp_path, PLAN)
    assert sweep(file, out=tmp_path / "out", seeds=[0], execute=pretend) == {}


def test_a_run_in_a_shared_store_with_a_relative_path_is_gone_on_with(tmp_path):
    shared = {"feedback": {"store": "sqlite:///shared.db"}, "teacher": "store"}
    file = written(tmp_path, PLAN | {"settings": {"four": shared}})
    (job, *_) = read_plan(file, out=tmp_path / "out")
    begin(job)
    assert sweep(file, out=tmp_path / "out", execute=pretend) == {}


def test_a_real_run_is_kept_with_its_directory_and_one_that_is_finished_is_only_read(tmp_path):
    file = written(tmp_path, PLAN | {"seeds": [0], "settings": {"four": {}}})
    assert sweep(file, out=tmp_path / "out") == {}
    (row,) = read_rows(tmp_path / "out" / "runs.csv")
    assert float(row["true_return_mean"]) > 5 and row["summary.labels"] == "4" and "torch" in row["versions"]
    summary = tmp_path / "out" / "runs" / "four_seed0" / "summary.json"
    before = summary.stat().st_mtime_ns
    (job,) = read_plan(file, out=tmp_path / "out")
    again = done(RLHFConfig.over_preset(json.loads(job.config)), Path(job.run_dir))
    assert str(again.summary["true_return_mean"]) == row["true_return_mean"]
    assert summary.stat().st_mtime_ns == before


def test_a_process_that_is_killed_is_tried_again(tmp_path):
    once = f"test -e {tmp_path}/tried && echo done || {{ touch {tmp_path}/tried; kill -9 $$; }}"
    assert fresh_process(["sh", "-c", once]) == "done\n"
    with pytest.raises(ProcessDied, match="killed 3 times, with signal 9"):
        fresh_process(["sh", "-c", "kill -9 $$"])
    with pytest.raises(RuntimeError, match="no such luck"):
        fresh_process(["sh", "-c", "echo no such luck >&2; exit 3"])


def test_a_process_that_is_told_to_stop_is_not_begun_again(tmp_path):
    with pytest.raises(ProcessDied, match="its process was stopped, with signal 15"):
        fresh_process(["sh", "-c", f"echo once >> {tmp_path}/begun; kill -TERM $$"])
    assert (tmp_path / "begun").read_text() == "once\n"


WAITING = """
from rlhf_gym.sweeps.executors import locally
from rlhf_gym.sweeps.fresh_process import fresh_process
from rlhf_gym.verbs.interrupts import interrupted_by_signals

with interrupted_by_signals():
    list(locally([1, 2, 3], lambda job: fresh_process(["sh", "-c", f"echo $$ > {job}; exec sleep 100"]), jobs=2))
"""


def test_the_runs_of_a_sweep_that_is_stopped_end_with_it_and_no_other_begins(tmp_path):
    with subprocess.Popen([sys.executable, "-c", WAITING], cwd=tmp_path, stderr=subprocess.PIPE) as waiting:
        begun = [tmp_path / "1", tmp_path / "2"]
        until(lambda: all(file.exists() and file.read_text() for file in begun))
        waiting.terminate()
        assert waiting.wait(30)
    until(lambda: not any(alive(int(file.read_text())) for file in begun))
    assert not (tmp_path / "3").exists()


def test_a_run_that_began_while_others_were_still_being_listed_is_stopped_too(tmp_path):
    begun, stopped = tmp_path / "begun", []

    def listed():
        yield begun
        until(begun.exists)
        raise KeyboardInterrupt

    def execute(job):
        try:
            fresh_process(["sh", "-c", f"touch {job}; exec sleep 20"])
        except ProcessDied:
            stopped.append(job)

    with pytest.raises(KeyboardInterrupt):
        list(locally(listed(), execute, jobs=2))
    assert stopped == [begun]


TIDYING = """
import tempfile, time
from pathlib import Path
from rlhf_gym.sweeps.fresh_process import stop_in_order

stop_in_order()
try:
    Path("begun").touch()
    time.sleep(100)
finally:
    time.sleep(0.3)
    Path("tidy").touch()
"""


def test_a_worker_that_is_told_to_stop_twice_tidies_up(tmp_path):
    with subprocess.Popen([sys.executable, "-c", TIDYING], cwd=tmp_path, stderr=subprocess.DEVNULL) as worker:
        until((tmp_path / "begun").exists)
        for told in (signal.SIGINT, signal.SIGTERM):
            worker.send_signal(told)
        assert worker.wait(30) == -signal.SIGINT
    assert (tmp_path / "tidy").exists()


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def until(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": [0, 0]}, "list whole numbers from 0 on, each once"),
        ({"seeds": 3}, "list whole numbers"),
        ({"settings": {}}, "name at least one"),
        ({"setings": {}}, "unknown setting setings; did you mean settings?"),
        ({"settings": {"a b": {}}}, "a setting named 'a b'"),
        ({"settings": {1: {}}}, "a setting named 1; use letters, digits, - and _, with quotes around a number"),
        ({"settings": {"a": {"seed": 3}}}, "setting a has seed; leave it out"),
        ({"settings": {"a": {"lables": 3}}}, "setting a: unknown setting lables; did you mean labels?"),
        ({"settings": {"a": 3}}, "settings.a is 3; expected a group"),
        ({"shared": [1]}, r"shared \[1\]; expected a group"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_any_run(tmp_path, changes, said):
    with pytest.raises(BadInput, match=said):
        read_plan(written(tmp_path, PLAN | changes), out=tmp_path)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"teacher": "noisy", "teacher_options": {"bta": 1}}, "teacher noisy has no option bta; did you mean beta"),
        ({"teacher": "rules"}, "teacher rules needs file; set teacher_options.file"),
        ({"algo": "a2c", "agent": {"options": {"batch_size": 64}}}, "algo A2C has no option batch_size"),
        ({"algo": "sac", "agent": {"options": {"n_steps": 64}}}, "option n_steps of SAC can't be set"),
        ({"query": {"schedule_options": {"by": 1}}}, "query.schedule christiano has no option by"),
        ({"reward": {"more": {"crops": {"longest": 1}}}}, "reward.more crops has no option longest"),
        ({"agent": {"start": "runs/a", "start_options": {"epoch": 1}}}, "agent.start_options.epoch; did you mean"),
    ],
)
def test_options_that_a_part_does_not_take_are_refused_before_any_run(tmp_path, own, said):
    shared = {"env_id": "Pendulum-v1", "labels": 4}
    plan = {"shared": shared, "settings": {"a": {}, "b": own}, "seeds": [0]}
    with pytest.raises(BadInput, match=f"setting b: .*{said}"):
        read_plan(written(tmp_path, plan), out=tmp_path)


def test_every_registered_name_takes_no_more_than_its_own_options():
    for setting in {*OPTIONS_OF, *BY_NAME} & {*TABLES} - {"algo"}:
        for name in TABLES[setting]:
            with pytest.raises(BadInput, match=f"^{setting} {name} has no option xyz; it takes"):
                check_user_options(setting, name, {"xyz": 1})


def test_a_setting_with_another_part_has_none_of_the_shared_one_s_options(tmp_path):
    shared = SHORT | {"teacher": "noisy", "teacher_options": {"beta": 1.0}}
    settings = {"noisy": {}, "oracle": {"teacher": "oracle"}, "a2c": {"algo": "a2c"}, "ranked": {"kind": "ranking"}}
    plan = {"shared": shared, "settings": settings, "seeds": [0]}
    of = {run.setting: json.loads(run.config) for run in read_plan(written(tmp_path, plan), out=tmp_path)}
    assert (of["noisy"]["teacher_options"], of["oracle"]["teacher_options"]) == ({"beta": 1.0}, {})
    assert of["ranked"]["agent"]["options"]["n_steps"] == 64 and "batch_size" not in of["a2c"]["agent"]["options"]


def test_the_example_of_a_plan_is_one(tmp_path):
    example = dedent(read_plan.__doc__.partition("::")[2].partition("Args:")[0])
    assert len(read_plan(written(tmp_path, yaml.safe_load(example)), out=tmp_path)) == 6


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--only", "fuor"], "--only: unknown setting fuor; did you mean four?"),
        (["--seeds", "7"], "--seeds has 7; the sweep's seeds are 0, 3"),
        (["--jobs", "0"], "jobs is 0; use at least 1"),
        (["--on", "moon"], "--on is 'moon'; use processes, ray, or ray://HOST:PORT"),
    ],
)
def test_the_command_line_says_in_one_line_what_does_not_fit(file, tmp_path, capsys, flags, said):
    assert main(["sweep", str(file), "--out", str(tmp_path / "out"), *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_sweep_s_folder_is_plotted_a_line_for_each_setting(file, tmp_path, monkeypatch, capsys):
    def run(job):
        done(RLHFConfig.from_dict(json.loads(job.config)), Path(job.run_dir))
        return pretend(job)

    drawn = []
    monkeypatch.setattr("rlhf_gym.plots.learning_curve", lambda runs, *_, **__: drawn.extend(runs))
    assert sweep(file, out=tmp_path / "out", seeds=[3], execute=run) == {}
    assert main(["plot", str(tmp_path / "out"), "--output", str(tmp_path / "curve.png")]) == 0
    assert [run.path.name for run in drawn] == ["four_seed3", "six_seed3"]
    assert sweep(file, out=tmp_path / "none", keep_runs=False, execute=pretend) == {}
    capsys.readouterr()
    assert main(["plot", str(tmp_path / "none")]) == 2
    assert "is of a sweep that kept no run directory here; sweep without --no-keep-runs" in capsys.readouterr().err
