"""Rows of older code stand where one seed, run again with today's, gives the same figures to the last digit."""

import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import islice

import pytest

from experiments.harness import older
from experiments.harness.adopt import CURVES
from experiments.harness.checkout import ROOT, commit_of, package_as_of
from experiments.harness.confirm import Beside
from experiments.harness.confirm import confirm as confirm_rows
from experiments.harness.confirmed import read_confirmed, run_again, standing
from experiments.harness.jobs import Job, in_fresh_process
from experiments.harness.older import all_fresh
from experiments.harness.report import page_text
from experiments.harness.results import read_results
from experiments.harness.run import main, run
from experiments.harness.serving import serving
from experiments.harness.settings import choose, known_columns, measure_names
from experiments.questions import cartpole
from rlhf_gym import RLHF
from rlhf_gym.sweeps.fresh_process import ProcessDied, end_all
from rlhf_gym.sweeps.records import append_rows, as_text, read_rows

RUN = "experiments/harness/run.py"
MADE = {"versions": "torch 2", "python": "3", "commit": "0123456789abcdef", "machine": "a machine", "command": "run"}


class Code:
    """Today's code, and runs by it: their figures depend on the seed, their times on the moment."""

    def __init__(self, code):
        self.code, self.done, self.changed, self.round, self.made = code, [], {}, {}, {}

    def execute(self, job):
        self.done.append((job.setting, job.seed))
        row = known_columns(job.experiment, job.setting, cartpole.SETTINGS[job.setting].run_config(job.seed))
        row |= {"true_return_mean": 400.1 + job.seed, "true_return_std": 0.0, "reward_accuracy_heldout": None}
        row |= {"wall_seconds": 30.0 + len(self.done)} | dict.fromkeys(measure_names(cartpole.SETTINGS), 0.2)
        row |= self.changed | {"code": self.code} | MADE | self.made | {"date": f"2030-01-0{len(self.done)}"}
        figures = {"labels": 10, "true_return": 9.0, "goal_return": math.nan, "seconds": len(self.done)}
        rounds = [dict.fromkeys(CURVES[2:], 0.5) | figures | {"round": number} for number in (0, 1)]
        rounds[1] |= self.round
        return {"run": row, "curves": [{"setting": job.setting, "seed": job.seed} | one for one in rounds]}


@pytest.fixture
def today(monkeypatch):
    code = Code("first")
    monkeypatch.setattr(older, "code_of", lambda config, measures: code.code)
    return code


@pytest.fixture
def folder(tmp_path, today):
    """Rows of two seeds, by code that has changed since."""
    run("cartpole", only=["labels_50"], seeds=[3, 1], results_dir=tmp_path, execute=today.execute)
    today.code, today.done = "second", []
    return tmp_path / "cartpole"


def confirm(folder, today, only=("labels_50",), **more):
    return run("cartpole", only=only, results_dir=folder.parent, execute=today.execute, confirm=True, **more)


def fresh(folder, name="labels_50"):
    rows = [row for row in read_rows(folder / "runs.csv") if row["setting"] == name]
    return all_fresh("cartpole", name, cartpole.SETTINGS[name], rows, read_confirmed(folder))


def test_one_seed_with_the_same_figures_makes_all_rows_stand(folder, today, capsys):
    assert not fresh(folder)
    kept = {name: (folder / name).read_bytes() for name in ("runs.csv", "curves.csv")}
    assert confirm(folder, today) == {}
    assert today.done == [("labels_50", 1)]  # the lowest seed that has a row
    assert "labels_50 seed 1: the same figures as by code first; its rows stand: 2" in capsys.readouterr().out
    (found,) = read_confirmed(folder)
    assert found == {
        **{"setting": "labels_50", "seed": "1", "old_code": "first", "new_code": "second"},
        **MADE,
        "command": "python -m experiments.run cartpole --confirm --only labels_50",
        "date": "2030-01-01",
        "rounds": "",
        "beside": "",
    }
    assert fresh(folder) and {name: (folder / name).read_bytes() for name in kept} == kept


def test_what_is_of_the_present_code_or_confirmed_is_not_run_again(folder, today):
    confirm(folder, today)
    confirm(folder, today)
    assert len(today.done) == 1 and len(read_confirmed(folder)) == 1
    today.code = "first"  # as if the change had been taken back
    confirm(folder, today)
    assert len(today.done) == 1


@pytest.mark.parametrize(
    ("run_now", "round_now", "said"),
    [
        (
            {"true_return_mean": 401.1000000000001},
            {},
            "true_return_mean was 401.1 and is 401.1000000000001 now, 5.68e-14 apart",
        ),
        ({"true_return_std": 1.5}, {}, "true_return_std was 0.0 and is 1.5 now, 1.5 apart"),
        ({"reward_accuracy_heldout": 0.5}, {}, "reward_accuracy_heldout was empty and is 0.5 now"),
        ({}, {"true_return": 9.25}, "in round 1, true_return was 9.0 and is 9.25 now, 0.25 apart"),
        ({}, {"goal_return": 1.0}, "in round 1, goal_return was nan and is 1.0 now"),
    ],
)
def test_another_figure_is_told_and_nothing_is_kept(folder, today, capsys, run_now, round_now, said):
    today.changed, today.round = run_now, round_now
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (reason,) = confirm(folder, today).values()
    assert reason.startswith(said) and reason.endswith("The row names the same machine and versions")
    assert reason in capsys.readouterr().err and reason.count("\n") == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before and not fresh(folder)


def test_a_measure_of_the_setting_is_compared(tmp_path, today):
    run("cartpole", only=["hold_at_one_100"], seeds=[0], results_dir=tmp_path, execute=today.execute)
    today.code, today.changed = "second", {"goal_return": 0.25}
    (reason,) = confirm(tmp_path / "cartpole", today, only=["hold_at_one_100"]).values()
    assert reason.startswith("goal_return was 0.2 and is 0.25 now, 0.05 apart")


def test_the_first_rounds_alone_may_be_compared_and_the_page_says_so(folder, today):
    first_only = {"true_return_mean": 7.0}  # a run of fewer rounds is never evaluated
    today.changed, today.round = first_only, {"true_return": 9.25}

    def execute(job):
        assert job.first == 0.5
        made = today.execute(job)
        return made | {"curves": made["curves"][:1]}

    how = {"results_dir": folder.parent, "execute": execute, "confirm": True, "first": 0.5}
    assert run("cartpole", only=["labels_50"], **how) == {}
    (found,) = read_confirmed(folder)
    assert fresh(folder) and found["rounds"] == "1 of 2" and "--confirm --first 0.5 --only" in found["command"]
    runs = {"labels_50": read_rows(folder / "runs.csv")}
    assert list(run_again(runs, [found]))[1] == (
        "Rounds 1 to 1 of 2 of one seed of each setting were run again with the code of commit 0123456789ab and gave "
        "the same figures."
    )


def test_earlier_code_may_be_run_beside_where_another_machine_made_the_rows(folder, today, capsys):
    today.changed = {"true_return_mean": 400.0999}  # as this machine has it, by either code
    other = Code("first")
    other.changed = today.changed
    how = {"jobs": 1, "beside": Beside("fedcba9876543210", other.execute)}
    settings = {"labels_50": cartpole.SETTINGS["labels_50"]}
    assert confirm_rows("cartpole", settings, folder, today.execute, **how) == {}
    assert "the same figures as by code first; its rows stand: 2" in capsys.readouterr().out
    (found,) = read_confirmed(folder)
    assert fresh(folder) and found["beside"] == "fedcba9876543210" and "--confirm --beside fedcba" in found["command"]
    runs = {"labels_50": read_rows(folder / "runs.csv")}
    assert list(run_again(runs, [found]))[1] == (
        "One seed of each setting was run by the code of commits fedcba987654 and 0123456789ab and gave the same "
        "figures."
    )


def test_earlier_code_that_gives_other_figures_or_made_no_rows_confirms_nothing(folder, today):
    settings = {"labels_50": cartpole.SETTINGS["labels_50"]}
    for code, said in (("first", "true_return_mean was 401.1 and is 7.0 now"), ("none", "its rows are of other code")):
        today.changed = {"true_return_mean": 7.0} if code == "first" else {}
        how = {"jobs": 1, "beside": Beside("fedcba9876543210", Code(code).execute)}
        (reason,) = confirm_rows("cartpole", settings, folder, today.execute, **how).values()
        assert reason.startswith(said) and not fresh(folder)


def test_the_package_of_a_commit_stands_beside_the_experiments_as_they_are():
    if not (ROOT / ".git").exists():
        pytest.skip("no history here")
    with package_as_of(commit_of("HEAD")) as place:
        assert (place / "rlhf_gym" / "rlhf.py").is_file()
        assert (place / "experiments" / "harness" / "run.py").read_bytes() == (ROOT / RUN).read_bytes()
    assert not place.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"first": 0.5}, "first is 0.5; with confirm, use a share above 0 and at most 1 of the rounds, else 1"),
        ({"confirm": True, "first": 1.5}, "first is 1.5; with confirm, use a share"),
        ({"beside": "HEAD"}, "beside is HEAD; use it with confirm, by processes of this machine"),
        ({"confirm": True, "beside": "nowhere"}, "'nowhere' is no commit of "),
    ],
)
def test_what_confirm_alone_heeds_is_refused_without_it(folder, capsys, more, said):
    assert main("cartpole", results_dir=folder.parent, **more) == 2
    assert capsys.readouterr().err.startswith(said)


def test_a_chain_is_as_strong_as_the_step_that_compared_the_fewest_rounds():
    row = {"setting": "labels_50", **MADE, "beside": ""}
    steps = [row | {"old_code": "a", "new_code": "b", "rounds": "2 of 20"}]
    steps += [row | {"old_code": "b", "new_code": "c", "rounds": "10 of 20"}]
    steps += [row | {"old_code": "c", "new_code": "d", "rounds": "", "commit": "fedcba9876543210"}]
    sentence = list(run_again({"labels_50": [{"code": "a"}]}, steps))[1]
    assert sentence.startswith(
        "Rounds 1 to 2 of 20 of one seed of each setting were run again with the code of commit fed"
    )


def test_a_figure_of_those_rounds_that_differs_confirms_nothing(folder, today):
    def execute(job):
        made = today.execute(job)
        return made | {"curves": [made["curves"][0] | {"true_return": 9.25}]}

    how = {"results_dir": folder.parent, "execute": execute, "confirm": True, "first": 0.5}
    (reason,) = run("cartpole", only=["labels_50"], **how).values()
    assert reason.startswith("in round 0, true_return was 9.0 and is 9.25 now") and not fresh(folder)


def test_a_table_of_what_was_confirmed_before_there_were_parts_gets_the_column(folder, today):
    row = dict.fromkeys(("setting", "seed", "old_code", "new_code", *MADE, "date"), "1")
    append_rows(folder / "confirmed.csv", [row])
    confirm(folder, today)
    assert [found["rounds"] for found in read_confirmed(folder)] == ["", ""]


def test_the_worker_does_the_first_rounds(tmp_path):
    job = Job("cartpole", "labels_50", 3, testing=True)
    some = in_fresh_process(replace(job, first=0.3))
    setting = choose(cartpole, testing=True)["labels_50"]
    with closing(RLHF(setting.run_config(3))) as rlhf:
        wanted = math.ceil(0.3 * len(rlhf.plan))
        rounds = list(islice(rlhf.rounds(), wanted))
    assert 0 < len(some["curves"]) == wanted < len(rlhf.plan)
    assert [row["true_return"] for row in some["curves"]] == [done.true_return for done in rounds]
    assert "summary.labels" not in some["run"] and some["run"]["code"]


def test_a_process_that_serves_does_the_first_rounds_of_one_run_after_the_other_as_fresh_ones_do():
    jobs = [Job("cartpole", "labels_50", seed, testing=True, first=0.3) for seed in (3, 4)]
    with serving(ROOT) as execute:
        served = [execute(job) for job in jobs]
        with pytest.raises(RuntimeError, match="KeyError: 'no_such_setting'"):
            execute(replace(jobs[0], setting="no_such_setting"))
        assert execute(jobs[0])["curves"][0]["labels"] == served[0]["curves"][0]["labels"]  # it goes on
    for job, mine in zip(jobs, served, strict=True):
        fresh_one = in_fresh_process(job)
        for rows in (mine, fresh_one):
            for row in (rows["run"], *rows["curves"]):
                row.pop("seconds", None), row.pop("date", None)
        assert as_text(mine) == as_text(fresh_one)


def test_a_process_that_ends_over_a_run_fails_that_run_alone(tmp_path):
    package = tmp_path / "experiments" / "harness"
    package.mkdir(parents=True)
    (package / "served.py").write_text("import sys\nfor line in sys.stdin: sys.exit(3)")
    with serving(tmp_path) as execute:
        for _ in range(2):
            with pytest.raises(ProcessDied, match="its process ended, with status 3"):
                execute(Job("cartpole", "labels_50", 3, first=0.3))


def test_a_confirmation_that_is_stopped_ends_the_processes_that_it_waits_for(tmp_path):
    package = tmp_path / "experiments" / "harness"
    package.mkdir(parents=True)
    (package / "served.py").write_text("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)")
    with serving(tmp_path) as execute, ThreadPoolExecutor() as pool:
        waiting = pool.submit(execute, Job("cartpole", "labels_50", 3, first=0.3))
        for _ in range(300):
            if (tmp_path / "begun").exists():
                break
            time.sleep(0.1)
        end_all()
        with pytest.raises(ProcessDied, match="its process ended, with status -15"):
            waiting.result(timeout=30)


def test_another_number_of_rounds_is_another_figure(folder, today):
    def execute(job):
        made = today.execute(job)
        return made | {"curves": made["curves"][:1]}

    (reason,) = run("cartpole", only=["labels_50"], results_dir=folder.parent, execute=execute, confirm=True).values()
    assert reason.startswith("its rounds in curves.csv are 2 and are 1 now")


def test_the_message_names_what_else_the_row_was_made_by(folder, today):
    today.changed, today.made = {"true_return_mean": 7.0}, {"versions": "torch 3", "machine": "another"}
    (reason,) = confirm(folder, today).values()
    assert reason.endswith(
        "The row names machine a machine, this run another; The row names versions torch 2, this run torch 3"
    )


def test_a_run_that_fails_confirms_nothing(folder, today):
    def execute(job):
        raise RuntimeError("the pole broke")

    failed = run("cartpole", only=["labels_50"], results_dir=folder.parent, execute=execute, confirm=True)
    assert list(failed.values()) == ["the pole broke"] and not fresh(folder)


def test_rows_of_two_codes_need_one_run_each_unless_one_leads_to_the_other(folder, today):
    confirm(folder, today)
    run("cartpole", only=["labels_50"], seeds=[4], results_dir=folder.parent, execute=today.execute)
    today.code, today.done = "third", []
    confirm(folder, today)
    assert today.done == [("labels_50", 4)] and fresh(folder)  # first leads to second, and second to third

    (folder / "confirmed.csv").unlink()
    today.done = []
    confirm(folder, today, jobs=1)
    assert today.done == [("labels_50", 4), ("labels_50", 1)] and fresh(folder)
    assert [row["old_code"] for row in read_confirmed(folder)] == ["second", "first"]


def test_a_setting_stands_by_its_own_confirmation_alone(folder, today):
    today.code = "first"
    run("cartpole", only=["labels_20"], seeds=[0], results_dir=folder.parent, execute=today.execute)
    today.code = "second"
    confirm(folder, today)
    assert fresh(folder) and not fresh(folder, "labels_20")


def test_codes_stand_by_a_chain_of_any_length_and_in_its_direction():
    steps = [("a", "b"), ("b", "c"), ("c", "b"), ("x", "y")]
    confirmed = [{"setting": "s", "old_code": old, "new_code": new} for old, new in steps]
    assert standing("s", "c", confirmed) == {"a", "b", "c"}
    assert standing("s", "a", confirmed) == {"a"} and standing("t", "c", confirmed) == {"c"}


@pytest.mark.parametrize(("column", "value"), [("code", ""), ("total_timesteps", "50000")])
def test_rows_without_code_or_of_other_settings_are_named_and_not_confirmed(folder, today, capsys, column, value):
    rows = read_rows(folder / "runs.csv")
    (folder / "runs.csv").unlink()
    append_rows(folder / "runs.csv", [row | {column: value} for row in rows])
    assert confirm(folder, today) == {} and today.done == []
    assert "labels_50: 2 of 2 rows are of other settings or name no code; see --retire" in capsys.readouterr().out


def test_confirmed_rows_are_not_retired(folder, today):
    confirm(folder, today)
    before = (folder / "runs.csv").read_bytes()
    run("cartpole", only=["labels_50"], seeds=[1], results_dir=folder.parent, retire=True, execute=today.execute)
    assert (folder / "runs.csv").read_bytes() == before and not (folder / "earlier_runs.csv").exists()


def test_rows_older_than_a_setting_and_a_figure_are_confirmed_once_they_are_widened(folder, today, capsys):
    for file, gone in (("runs.csv", "feedback.levels"), ("curves.csv", CURVES[-1])):
        rows = read_rows(folder / file)
        (folder / file).unlink()
        append_rows(folder / file, [{name: value for name, value in row.items() if name != gone} for row in rows])
    chosen = {"only": ("labels_50",), "results_dir": folder.parent, "confirm": True}
    assert main("cartpole", **chosen) == 2 and today.done == []
    assert "lacks feedback.levels" in capsys.readouterr().err
    assert confirm(folder, today, adopt=True) == {} and fresh(folder)
    assert {row[CURVES[-1]] for row in read_rows(folder / "curves.csv")} == {""}


@pytest.mark.parametrize("other", [{"seeds": (1,)}, {"retire": True}])
def test_what_has_no_use_beside_confirm_is_refused(folder, today, capsys, other):
    assert main("cartpole", results_dir=folder.parent, confirm=True, **other) == 2
    assert capsys.readouterr().err.startswith(f"confirm came with {next(iter(other))}; it runs one seed of each")


def test_a_page_says_what_was_run_again(folder, today):
    assert "run again" not in page_text(read_results("cartpole", results_dir=folder.parent))
    confirm(folder, today)
    page = page_text(read_results("cartpole", results_dir=folder.parent))
    assert (
        "| 2 |\n\nThe runs were made at the commits that their rows name. One seed of each setting was run again with "
        "the code of commit 0123456789ab and gave the same figures.\n"
    ) in page
    assert "All tables stand for the present code. Where earlier code made the rows" in page


def test_a_page_names_the_settings_where_not_all_were_run_again_or_not_by_one_commit():
    runs = {name: [{"code": "a"}] for name in ("one", "two", "three")}
    confirmed = [
        {"setting": "one", "old_code": "a", "new_code": "b", "commit": "11"},
        {"setting": "two", "old_code": "a", "new_code": "b", "commit": "11"},
        {"setting": "one", "old_code": "b", "new_code": "c", "commit": "22+dirty"},
        {"setting": "three", "old_code": "before", "new_code": "a", "commit": "00"},  # of rows that are gone
    ]
    _, *sentences = run_again(runs, confirmed)
    assert [sentence.partition(" was run again with the code of commit ")[::2] for sentence in sentences] == [
        ("One seed of `one`", "22+dirty and gave the same figures."),
        ("One seed of `two`", "11 and gave the same figures."),
    ]
