from pathlib import Path

import numpy as np
import pytest

from experiments.measurements.foretells import (
    JUDGED,
    Reached,
    Section,
    _answer,
    _apart,
    correlations,
    main,
    of_tasks,
    page,
    pooled,
    runs_with_figures,
    sections,
)
from experiments.measurements.fractions import results_with_rows
from rlhf_gym.sweeps.records import append_rows

RESULTS = Path(__file__).parents[2] / "results"


def reached(task, pairs):
    return [Reached(task, part, {"disagreement": figure}) for figure, part in pairs]


def test_coefficients_by_hand():
    # Ranks 1 2 3 4 beside 1 2 4 3: 1 - 6 * 2 / (4 * 15) = 0.8.
    pearson, spearman = correlations(np.array([(1.0, 1.0), (2.0, 2.0), (3.0, 9.0), (4.0, 4.0)]))
    assert spearman == pytest.approx(0.8) and 0 < pearson < 1
    assert correlations(np.array([(1.0, 1.0), (1.0, 2.0)])) is None


def test_an_easy_task_does_not_pass_for_a_good_reward():
    # Within both tasks more goes with less; between them more goes with more.
    low = [(n, 0.5 - 0.1 * n) for n in range(5)]
    high = [(10 + n, 0.9 - 0.1 * n) for n in range(5)]
    runs = reached("hard", low) + reached("easy", high)
    assert pooled(runs, "disagreement") == (pytest.approx(-1), pytest.approx(-1), 10, 2)
    assert {task: found[1:] for task, found in of_tasks(runs, "disagreement").items()} == {
        "hard": (pytest.approx(-1), 5),
        "easy": (pytest.approx(-1), 5),
    }


def test_tasks_with_few_runs_and_figures_that_no_run_has_are_left_out():
    runs = reached("hard", [(n, n) for n in range(4)]) + reached("easy", [(9, 0)])
    assert of_tasks(runs, "disagreement") == {}
    assert pooled(runs, "disagreement") == (pytest.approx(1), pytest.approx(1), 4, 1)
    assert pooled(runs, "epic_distance") is None


def test_a_run_s_figures_are_those_of_its_last_round_and_its_return_is_a_part_of_ppo_s_gain(tmp_path):
    settings = {"hopper_50": 60, "hopper_ppo_true_reward": 110, "hopper_untrained_policy": 10}
    rows = [{"setting": setting, "seed": 0, "true_return_mean": value} for setting, value in settings.items()]
    append_rows(tmp_path / "mujoco" / "runs.csv", rows)
    rounds = [{"setting": "hopper_50", "seed": 0, "disagreement": value} for value in (0.5, "", 0.25)]
    append_rows(tmp_path / "mujoco" / "curves.csv", rounds)
    (results,) = results_with_rows(tmp_path)
    assert list(runs_with_figures(results)) == [Reached("Hopper-v5", 0.5, {"disagreement": 0.25})]


def test_methods_without_a_reward_model_have_no_figures_of_one(tmp_path):
    names = ("untrained_policy", "cpl_50", "dpo_50", "reward_50", "ppo")
    rows = [{"setting": f"pendulum_{name}", "seed": 0, "true_return_mean": n} for n, name in enumerate(names)]
    append_rows(tmp_path / "direct" / "runs.csv", rows)
    append_rows(tmp_path / "direct" / "curves.csv", [{**row, "learned_return": 1} for row in rows])
    (results,) = results_with_rows(tmp_path)
    assert [found.figures for found in runs_with_figures(results)] == [{"learned_return": 1.0}]


def test_a_judged_reward_stands_beside_its_own_policy_and_beside_the_fresh_one(tmp_path):
    ends = {"hopper_ppo_true_reward": 110, "hopper_untrained_policy": 10}
    rows = [{"setting": setting, "seed": 0, "true_return_mean": value} for setting, value in ends.items()]
    append_rows(tmp_path / "mujoco" / "runs.csv", rows)
    judged = {"question": "mujoco", "setting": "hopper_50", "seed": 0, "env_id": "Hopper-v5", "goal": ""}
    figures = dict.fromkeys(JUDGED, "") | {"all_epic": 0.25}
    append_rows(tmp_path / "relearned" / "runs.csv", [{**judged, "own": 60, "relearned": 35, **figures}])
    _, own, fresh = sections(tmp_path)
    assert own.runs == [Reached("Hopper-v5", 0.5, {"all_epic": 0.25})]
    assert fresh.runs == [Reached("Hopper-v5", 0.25, {"all_epic": 0.25})]


def test_the_page_is_of_the_rows_that_are_there_now():
    assert (RESULTS / "foretells" / "README.md").read_text(encoding="utf-8") == page(RESULTS), (
        "run python -m experiments.measurements.foretells"
    )


def test_too_few_runs_are_refused_with_one_line(tmp_path, capsys):
    assert main(tmp_path) == 2
    assert "has 2 runs that learned from answers; do them first" in capsys.readouterr().err


def test_the_answer_says_which_signs_are_steady_and_which_are_wrong():
    tasks = [f"task {n}" for n in range(5)]
    runs = [Reached(task, n, {"disagreement": n, "reward_accuracy": -n, "x": n}) for task in tasks for n in range(5)]
    found = Section("known", "the return", {"disagreement": "disagreement", "reward_accuracy": "accuracy"}, runs)
    assert found.steady == ["disagreement", "accuracy"]
    assert _answer(found).endswith("+1.00 within tasks, over 25 runs of 5 tasks, which is the wrong direction.")
    turned = [Reached("task 0", n, {"disagreement": -n, "reward_accuracy": -n}) for n in range(5)]
    other = Section("known", "the return", found.figures, runs[5:] + turned)
    assert other.steady == ["accuracy"] and "wrong direction" in _answer(other)


def test_equal_runs_of_two_questions_count_once(tmp_path):
    run = Reached("hard", 0.5, {"disagreement": 0.25})
    assert _apart([run, Reached("hard", 0.4, {"disagreement": 0.25}), Reached("hard", 0.4, {})]) == [
        Reached("hard", 0.4, {"disagreement": 0.25})
    ]
