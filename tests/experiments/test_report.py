import re
from pathlib import Path

import pytest

from experiments.harness.report import figures, main, page_text, report, summarise, table
from experiments.harness.results import read_results
from experiments.harness.settings import known_columns, measure_names, names
from experiments.questions import cartpole, novel_goals
from rlhf_gym.sweeps.records import append_rows, read_rows

RESULTS = Path(__file__).parents[2] / "results"
ROUNDS = [{"env_steps": 100 * n, "labels": n, "true_return": 9.0 * n} for n in (1, 2, 3)]
MADE = {"wall_seconds": 36.0, "versions": "torch 2", "python": "3", "commit": "abc", "machine": "a machine"}


def fill(folder, returns, **measures):
    """Results as runs leave them: the true return of each seed, by setting."""
    for setting, seeds in returns.items():
        for seed, value in enumerate(seeds):
            row = known_columns("cartpole", setting, cartpole.SETTINGS[setting].run_config(seed))
            row |= {"true_return_mean": value} | dict.fromkeys(measure_names(cartpole.SETTINGS), "") | measures
            append_rows(folder / "runs.csv", [row | MADE | {"date": f"2030-01-0{seed + 1}"}])
            append_rows(folder / "curves.csv", [{"setting": setting, "seed": seed} | round_ for round_ in ROUNDS])


def page_of(results_dir):
    """The page that :func:`report` writes, without its figures, which take the time."""
    return page_text(read_results("cartpole", results_dir=results_dir))


def table_row(page, start):
    return next(line for line in page.splitlines() if line.startswith(start))


def test_page_says_asked_beside_reached(tmp_path):
    fill(tmp_path / "cartpole", {"labels_50": [500, 500, 490, 480, 475], "labels_20": [500, 474, 9, 500, 500]})
    page = page_of(tmp_path)
    assert table_row(page, "| 50 labels").endswith("true_return_mean ≥ 475 on at least 5 of 5 seeds | 5 of 5 | pass |")
    assert table_row(page, "| 20 labels").endswith("on at least 4 of 5 seeds | 3 of 5 | **short** |")
    assert table_row(page, "| fixed horizon, 100 labels").endswith("| not run | open: runs are missing |")


def test_a_row_older_than_a_measure_is_left_out_of_it_alone(tmp_path):
    fill(tmp_path / "cartpole", {"hold_at_one_50": [500]}, goal_return="")
    fill(tmp_path / "cartpole", {"hold_at_one_50": [500, 490]}, goal_return=300)
    rows = summarise(cartpole.SETTINGS, {"hold_at_one_50": read_rows(tmp_path / "cartpole" / "runs.csv")})
    found = {row["measure"]: (row["n_seeds"], row["iqm"]) for row in rows}
    assert found["goal_return"] == (2, 300) and found["true_return_mean"][0] == 3
    assert "episode_length" not in found


def test_a_page_begins_with_the_answer_from_the_rows(tmp_path):
    settings = cartpole.SETTINGS
    asked = [name for name in settings if name not in ("random_answers_50", "untrained_reward", "constant_minus_one")]
    measures = {"episode_length": 480, "distance_last_200": 0.5, "goal_return": 300}
    floors = [name for name in asked if name.endswith("untrained_policy")]
    seeds = {name: len(settings[name].seeds) for name in asked}
    learned = {name: [500, 500, 500, 500, 400] * (seeds[name] // 5) for name in asked if name not in floors}
    fill(tmp_path / "cartpole", learned, **measures)
    fill(tmp_path / "cartpole", {name: [9] * seeds[name] for name in floors}, **measures | {"goal_return": 1})
    answer = page_of(tmp_path).splitlines()[3]
    assert answer.startswith("**50 labels solve CartPole on 4 of 5 seeds and 20 labels on 4 of 5, but so does")
    assert "and 100 labels 1.00 [" in answer and answer.endswith("in a fixed horizon.**")


def test_a_page_says_that_it_is_open_while_runs_are_missing(tmp_path):
    fill(tmp_path / "cartpole", {"labels_50": [500] * 5})
    page = page_of(tmp_path)
    assert page.splitlines()[3] == "**Of 7 figures asked for 1 pass, 0 are short, and 6 lack runs.**"


RUN = [name for name in names() if (RESULTS / name / "runs.csv").exists()]


@pytest.mark.parametrize("name", RUN)
def test_the_stored_pages_are_what_their_command_writes_from_the_rows(name):
    results = read_results(name, results_dir=RESULTS)
    assert (RESULTS / name / "README.md").read_text(encoding="utf-8") == page_text(results)


def test_a_page_says_which_tables_are_older_and_why(tmp_path):
    fill(tmp_path / "cartpole", {"labels_50": [500, 400], "fixed_horizon_100": [300, 320]})
    page = page_of(tmp_path)
    assert "All tables are of the present code" in page and "Older" not in page
    (tmp_path / "older.txt").write_text("cartpole/labels: run by older code\nmujoco/ant: likewise\n")
    page = page_of(tmp_path)
    assert "**1 of 2 tables are of the present code.**" in page
    assert "(labels.png)\n\n**Older than the present code:** run by older code.\n" in page


def test_a_table_shows_parts_of_the_best_ppo_s_gain_where_both_ends_were_run(tmp_path):
    returns = {"fixed_horizon_100": [300] * 5, "fixed_horizon_ppo_true_reward": [500] * 5}
    fill(tmp_path / "cartpole", returns)
    assert "part of" not in page_of(tmp_path).partition("## The leak")[2]
    fill(tmp_path / "cartpole", {"fixed_horizon_untrained_policy": [100] * 5})
    rows = page_of(tmp_path).partition("## The leak")[2].splitlines()
    assert "| setting | true_return_mean | part of the best PPO's gain | seeds |" in rows
    assert any("`fixed_horizon_100`" in row and row.endswith("| 0.50 [0.50, 0.50] | 5 |") for row in rows)


def test_a_goals_figure_shows_its_own_measure_and_no_curve_of_another_reward():
    for figure in figures(read_results("novel_goals", results_dir=RESULTS)).values():
        (ax,) = figure.axes
        assert ax.get_xlabel() in {task.unit for task in novel_goals.settings.TASKS.values()}


def test_page_holds_question_commands_reading_and_what_made_it(tmp_path):
    fill(tmp_path / "cartpole", {"labels_50": [500, 400]})
    page = page_of(tmp_path)
    assert cartpole.__doc__.strip() in page and cartpole.HOW_TO_READ in page
    assert "python -m experiments.run cartpole --jobs 2\npython -m experiments.report cartpole\n" in page
    for line in ("- machine: a machine", "- commit: abc", "- versions: torch 2", "- dates: 2030-01-01 to 2030-01-02"):
        assert line in page


def test_summary_has_interquartile_mean_interval_range_and_share(tmp_path):
    fill(tmp_path / "cartpole", {"labels_50": [500, 490, 480, 470, 9]})
    report("cartpole", results_dir=tmp_path)
    (row,) = read_rows(tmp_path / "cartpole" / "summary.csv")
    assert (row["setting"], row["measure"], row["n_seeds"]) == ("labels_50", "true_return_mean", "5")
    assert (float(row["iqm"]), float(row["min"]), float(row["max"])) == (480, 9, 500)
    assert 9 <= float(row["interval_low"]) < 480 < float(row["interval_high"]) <= 500
    assert (row["threshold"], float(row["share_over_threshold"])) == ("true_return_mean ≥ 475", 0.6)


def test_every_measure_has_a_summary_of_its_own(tmp_path):
    measures = {"episode_length": 480, "distance_last_200": 0.125, "goal_return": 300}
    fill(tmp_path / "cartpole", {"hold_at_one_100": [480] * 5}, **measures)
    page = report("cartpole", results_dir=tmp_path).read_text()
    rows = {row["measure"]: row for row in read_rows(tmp_path / "cartpole" / "summary.csv")}
    assert {name: float(row["iqm"]) for name, row in rows.items()} == {"true_return_mean": 480, **measures}
    assert "| 0.12 [0.12, 0.12], 0.12 to 0.12 |" in page and "| 5 of 5 | 5 |" in page


def test_report_is_made_anew_from_the_rows_alone_and_leaves_them(tmp_path):
    folder = tmp_path / "cartpole"
    fill(folder, {"labels_50": [500, 480], "constant_plus_one": [500, 500], "fixed_horizon_100": [300, 320]})
    report("cartpole", results_dir=tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {"runs.csv", "curves.csv", "summary.csv", "README.md", "labels.png", "fixed_horizon.png"}
    assert before["README.md"].decode() == page_of(tmp_path)
    for made in ("summary.csv", "README.md", "labels.png", "fixed_horizon.png"):
        (folder / made).write_text("spoilt")
    report("cartpole", results_dir=tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    fill(folder, {"constant_minus_one": [9, 9]})
    report("cartpole", results_dir=tmp_path)
    assert (folder / "README.md").read_bytes() != before["README.md"]


def test_figures_and_tables_can_be_had_without_writing_anything(tmp_path):
    folder = tmp_path / "cartpole"
    fill(folder, {"labels_50": [500, 480], "fixed_horizon_100": [300, 320]})
    results = read_results("cartpole", results_dir=tmp_path)
    drawn = figures(results)
    assert list(drawn) == list(results.families) == ["labels", "fixed_horizon"]
    assert [figure.get_suptitle() for figure in drawn.values()] == [f.title for f in results.families.values()]
    assert drawn["labels"].axes[1].get_title(loc="left") == "deterministic policy, 20 episodes"
    assert [label.get_text() for label in drawn["labels"].axes[1].get_yticklabels()] == ["50 labels"]
    written = table(results, results.families["fixed_horizon"])
    assert written.splitlines()[-1].startswith(
        "| fixed horizon, 100 labels (`fixed_horizon_100`) | 310.0, 300.0 to 320.0 |"
    )
    assert {path.name for path in folder.iterdir()} == {"runs.csv", "curves.csv"}
    assert written in page_of(tmp_path)


def test_intervals_are_left_out_below_five_seeds_where_they_reach_from_lowest_to_highest(tmp_path):
    returns = {"labels_50": [500, 490, 480, 470], "fixed_horizon_100": [300, 310, 320, 330, 340]}
    fill(tmp_path / "cartpole", returns)
    results = read_results("cartpole", results_dir=tmp_path)
    four, five = (table(results, results.families[name]).splitlines() for name in ("labels", "fixed_horizon"))
    assert four[0] == "Interquartile mean over seeds, lowest to highest seed."
    fill(tmp_path / "three" / "cartpole", {"labels_50": [500, 490, 480]})
    three = read_results("cartpole", results_dir=tmp_path / "three")
    assert table(three, three.families["labels"]).startswith("Mean over seeds, lowest to highest seed.")
    assert "| 485.0, 470.0 to 500.0 |" in four[-1]
    assert five[0] == "Interquartile mean over seeds [95 % bootstrap interval], lowest to highest seed."
    assert re.search(r"\| 320.0 \[30\d.\d, 33\d.\d\], 300.0 to 340.0 \|", five[-1])
    fill(tmp_path / "cartpole", {"labels_20": [500, 490, 480, 470, 460]})
    results = read_results("cartpole", results_dir=tmp_path)
    mixed = table(results, results.families["labels"]).splitlines()
    assert "[95 % bootstrap interval, from 5 seeds on]" in mixed[0]


def test_pictures_of_all_settings_stay_below_300_kb(tmp_path):
    measures = {"episode_length": 480, "distance_last_200": 0.125, "goal_return": 300}
    fill(tmp_path / "cartpole", {name: [10, 200, 300, 400, 500] for name in cartpole.SETTINGS}, **measures)
    page = report("cartpole", results_dir=tmp_path).read_text()
    pictures = sorted((tmp_path / "cartpole").glob("*.png"))
    assert [picture.stem for picture in pictures] == sorted(cartpole.FAMILIES)
    assert all(picture.stat().st_size < 300_000 and f"]({picture.name})" in page for picture in pictures)


def test_no_rows_and_rows_of_lost_settings_are_refused(tmp_path, capsys):
    assert main("cartpole", results_dir=tmp_path) == 2
    assert "holds no runs; do them first: python -m experiments.run cartpole" in capsys.readouterr().err
    fill(tmp_path / "cartpole", {"labels_50": [500]})
    path = tmp_path / "cartpole" / "runs.csv"
    path.write_text(path.read_text().replace("labels_50", "labels_51"))
    with pytest.raises(ValueError, match="runs of labels_51, which aren't settings; move them away"):
        report("cartpole", results_dir=tmp_path)
