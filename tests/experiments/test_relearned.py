"""Fresh policies on frozen rewards: one run by its parts, the page by hand, and rows of the present code."""

from pathlib import Path

import pytest

from experiments.harness.older import listed_older
from experiments.harness.worker import run_setting
from experiments.measurements.relearned import __main__ as module
from experiments.measurements.relearned.confirm import stands
from experiments.measurements.relearned.page import answer, by_task, write
from experiments.measurements.relearned.parts import METRICS, Learned, learned
from experiments.measurements.relearned.runs import FRESH, LEARNED, Job, jobs, run
from experiments.questions import cartpole
from rlhf_gym.sweeps.records import append_rows, read_rows

RESULTS = Path(__file__).parents[2] / "results"
TABLE = RESULTS / "relearned" / "runs.csv"


def a_row(setting, seed, own, relearned, **more):
    figures = dict.fromkeys((f"all_{metric}" for metric in METRICS), 0.5)
    learned_returns = {"own_learned_return": 1, "relearned_learned_return": 2}
    made = dict.fromkeys(("machine", "commit", "python", "versions", "command", "date"), "x")
    row = {"question": "mujoco", "setting": setting, "seed": seed, "env_id": "Hopper-v5", "goal": None, "labels": 50}
    return row | {"own": own, "relearned": relearned} | learned_returns | figures | made | more


@pytest.fixture
def results(tmp_path):
    """PPO reached 110, and the untrained policy 10: a return of 60 is half of what PPO gained."""
    ends = {"hopper_ppo_true_reward": 110, "hopper_untrained_policy": 10}
    rows = [{"setting": setting, "seed": 0, "true_return_mean": value} for setting, value in ends.items()]
    append_rows(tmp_path / "mujoco" / "runs.csv", rows)
    return tmp_path


def test_the_run_s_own_figure_is_that_of_its_question_and_the_fresh_policy_is_another():
    setting = cartpole.TESTING["hold_at_one_100"]
    row = run(Job("cartpole", "hold_at_one_100", setting, 0), "a command")
    _, _, measures = run_setting(setting, 0, Path("unused"))
    assert row["own"] == pytest.approx(measures["goal_return"])
    assert row["relearned"] != row["own"] and row["relearned_learned_return"] != row["own_learned_return"]
    assert 0 <= row["all_gap_accuracy"] <= 1 and 0 <= row["policy_epic"] <= 1
    assert (row["goal"], row["command"]) == ("cart_pole_hold_at_one", "a command")


def test_every_setting_that_is_learned_again_has_a_scale_and_a_seed_that_no_question_has():
    found = jobs([0])
    assert [job.name for job in found] == [name for names in LEARNED.values() for name in names]
    assert all(job.setting.scale and max(job.setting.seeds) < FRESH for job in found)


def test_returns_are_parts_of_what_ppo_gained(results):
    (one,) = learned([a_row("hopper_50", 0, own=60, relearned=35)], results)
    assert (one.task, one.own, one.relearned) == ("Hopper-v5", 0.5, 0.25)


def test_the_answer_names_the_task_on_which_fresh_policies_differ_most():
    found = [Learned("easy", 1.0, 0.9, {}), Learned("easy", 0.8, 1.1, {}), Learned("hard", 0.7, 0.0, {})]
    assert answer(by_task(found)) == (
        "On 2 tasks policies that learn from a run's frozen reward reach 0.50 of the best PPO's gain in the mean, the "
        "runs' own 0.80; they fall furthest behind on hard, with 0.00 beside 0.70, and are furthest ahead on easy, "
        "with 1.00 beside 0.90."
    )


def test_the_page_has_a_line_for_each_task_and_leaves_out_what_no_row_tells(results):
    rows = [a_row("hopper_50", seed, own=60, relearned=35 - 60 * seed, all_epic="") for seed in (0, 1)]
    append_rows(results / "relearned" / "runs.csv", rows)
    write(read_rows(results / "relearned" / "runs.csv"), results)
    page = (results / "relearned" / "README.md").read_text()
    parts = "0.50 (0.50 to 0.50) | −0.05 (−0.35 to 0.25)"
    assert f"| Hopper-v5 | 50 | 2 | {parts} | 2 of 2 | 0.50 | 0.50 | 0.50 | 0.50 | – | 0.50 |" in page.splitlines()
    assert (results / "relearned" / "relearned.png").stat().st_size > 10_000


def test_what_is_there_is_not_done_again_and_a_setting_that_is_none_is_refused(results, monkeypatch, capsys):
    done = []
    monkeypatch.setattr(module, "run", lambda job, _: done.append(job.key) or a_row(job.name, job.seed, 60, 35))
    assert module.main(seeds=(0,), only=("hopper_50",), results_dir=results) == 0
    assert module.main(seeds=(0, 1), only=("hopper_50",), results_dir=results) == 0
    assert [key["seed"] for key in done] == ["0", "1"]
    assert module.main(only=("hoper_50",), results_dir=results) == 2
    assert "only has hoper_50; use some of pendulum_30" in capsys.readouterr().err


def test_a_row_of_older_code_stands_once_one_of_its_setting_came_out_the_same(results, monkeypatch, capsys):
    table = results / "relearned" / "runs.csv"
    append_rows(table, [a_row("hopper_50", seed, 60, 35, code="older") for seed in (0, 1)])
    (first, second), (job, other) = read_rows(table), jobs((0, 1), ("hopper_50",))
    assert not stands(job, first, table.parent)
    for reached, told in ((36, "relearned was 35 and is 36 now"), (35, "the same")):
        monkeypatch.setattr(module, "run", lambda job, _, r=reached: a_row(job.name, job.seed, 60, r, code=job.code))
        differs = reached != 35
        assert module.main(seeds=(0,), only=("hopper_50",), confirm=True, results_dir=results) == differs
        assert f"hopper_50 seed 0: {told}" in capsys.readouterr().out
        assert stands(other, second, table.parent) is not differs
    monkeypatch.setattr(module, "run", None)  # nothing is left to be done
    assert module.main(seeds=(0, 1, 2), only=("hopper_50",), confirm=True, results_dir=results) == 0
    page = (results / "relearned" / "README.md").read_text()
    assert "One seed of each setting was run again with the code of commit" in page


@pytest.mark.skipif(not TABLE.exists(), reason="not measured yet")
def test_rows_are_of_the_present_code_or_named_as_older():
    of = {(job.name, str(job.seed)): job for job in jobs(range(10))}
    fresh = all(stands(of[row["setting"], row["seed"]], row, TABLE.parent) for row in read_rows(TABLE))
    assert fresh is ("relearned" not in listed_older(RESULTS))
