from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rlhf_gym.config import RLHFConfig
from rlhf_gym.plots import Line, Panel, learning_curve, over_seeds, result_figure
from rlhf_gym.runs import Run
from rlhf_gym.titles import titles


def run(returns, *, steps=(1000, 2000, 3000), labels=(10, 20, 30), **settings):
    """A run of three rounds, as read_run would give it."""
    config = RLHFConfig.for_env(settings.pop("env_id", "CartPole-v1"), **settings)
    metrics = [
        {"env_steps": s, "labels": n, "teacher_seconds": 5 * n, "true_return": r}
        for s, n, r in zip(steps, labels, returns, strict=True)
    ]
    return Run(Path("nowhere"), config, {}, metrics)


def constant(value, returns):
    return run(returns, labels=(0, 0, 0), reward={"source": "constant", "constant": value})


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def points(line):
    return [list(map(float, values)) for values in line.get_data()]


def test_runs_on_different_steps_meet_on_one_grid_that_ends_with_the_shortest():
    one = (np.array([0.0, 10.0]), np.array([0.0, 100.0]))
    other = (np.array([5.0, 20.0]), np.array([30.0, 60.0]))
    grid, curves = over_seeds([one, other])
    assert grid.tolist() == [0, 5, 10]
    assert curves.tolist() == [[0, 50, 100], [30, 30, 40]]  # before its first point a curve keeps its first value


def test_line_is_the_interquartile_mean_over_seeds_and_the_band_their_range():
    figure = learning_curve([run([20, 30, last], seed=s) for s, last in enumerate([0, 400, 410, 420, 1000])])
    left = figure.axes[0]
    assert points(left.lines[0]) == [[1000, 2000, 3000], [20, 30, 410]]
    heights = left.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0, 1000)


def test_runs_are_grouped_by_labels_teacher_and_reward():
    runs = [
        run([1, 2, 3], seed=0),
        run([2, 3, 4], seed=1),
        run([1, 1, 1], teacher="random"),
        run([3, 4, 5], reward={"source": "true"}, labels=(0, 0, 0)),
        constant(-1, [9, 9, 9]),
    ]
    assert legend(learning_curve(runs)) == [
        "50 labels",
        "50 random answers",
        "PPO on the true reward",
        "constant reward −1",
    ]


def test_environments_are_named_where_there_are_several():
    figure = learning_curve([run([1, 2, 3]), run([1, 2, 3], env_id="Pendulum-v1")])
    assert legend(figure) == ["CartPole-v1, 50 labels", "Pendulum-v1, 100 labels"]


def test_a_goal_and_a_fixed_horizon_are_named():
    figure = learning_curve([run([1, 2, 3], feedback={"goal": "my.goals:stay"}, env={"fixed_horizon": 200})])
    assert legend(figure) == ["50 labels, goal stay, fixed horizon 200"]


def test_runs_of_one_goal_are_drawn_by_their_return_by_it_and_others_by_the_true_one():
    def with_goal(goal, seed=0):
        one = run([1, 2, 3], seed=seed, feedback={"goal": goal})
        for row, value in zip(one.metrics, [7.0, np.nan, 9.0], strict=True):
            row["goal_return"] = value
        return one

    alone = learning_curve([with_goal("my.goals:stay"), with_goal("my.goals:stay", seed=1)])
    assert alone.axes[0].get_ylabel() == "return by the goal while learning"
    assert points(alone.axes[0].lines[0]) == [[1000, 3000], [7, 9]]
    for others in ([run([1, 2, 3])], [with_goal("my.goals:go")]):
        mixed = learning_curve([with_goal("my.goals:stay"), *others])
        assert mixed.axes[0].get_ylabel() == "true return while learning"
        assert points(mixed.axes[0].lines[0])[1] == [1, 2, 3]


def test_the_last_round_with_a_number_of_labels_stands_for_it():
    figure = learning_curve([run([10, 20, 30], labels=(10, 20, 20))])
    assert points(figure.axes[1].lines[0]) == [[10, 20], [10, 30]]


@pytest.mark.parametrize("seconds", [False, True])
def test_a_control_without_labels_is_a_level_against_labels_or_their_seconds(seconds):
    figure = learning_curve([run([1, 2, 3]), constant(1, [9, 20, 480])], seconds=seconds)
    level = figure.axes[1].lines[1]
    assert points(level) == [[0, 1], [480, 480]]  # from edge to edge of the panel
    assert level.get_linestyle() == "--"


def test_controls_are_muted_and_dashed_beside_the_method():
    figure = learning_curve([constant(1, [9, 20, 480]), run([1, 2, 3])])
    control, method = figure.axes[0].lines
    assert (method.get_linestyle(), method.get_color()) == ("-", "#0072B2")
    assert control.get_linestyle() == "--" and control.get_linewidth() < method.get_linewidth()


def test_rounds_in_which_no_episode_ended_are_left_out():
    figure = learning_curve([run([float("nan"), 20, 30])])
    assert points(figure.axes[0].lines[0]) == [[2000, 3000], [20, 30]]


def test_no_runs_and_no_finished_episode_are_refused():
    with pytest.raises(ValueError, match="got no runs to draw; give at least one run directory"):
        learning_curve([])
    with pytest.raises(ValueError, match="no episode has ended in these runs; train for longer"):
        learning_curve([run([float("nan")] * 3)])


def test_picture_is_written_in_the_format_of_its_ending(tmp_path):
    learning_curve([run([1, 2, 3], seed=s) for s in range(2)], tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG" and min(picture.size) > 600
    learning_curve([run([1, 2, 3])], tmp_path / "curve.svg")
    assert "<svg" in (tmp_path / "curve.svg").read_text()


ROUNDS = [
    {"setting": name, "seed": str(seed), "env_steps": str(steps), "labels": "5", "true_return": str(steps + seed)}
    for name in ("ours", "control")
    for seed in range(3)
    for steps in (100, 200)
]
RUNS = [
    {"setting": name, "seed": str(seed), "true_return_mean": str(10 * seed)}
    for name in ("ours", "control", "left out")
    for seed in range(3)
]
LINES = {"control": Line("constant +1", control=True), "ours": Line("50 labels"), "not run": Line("20 labels")}
PANEL = Panel("true_return_mean", "true return", asked=475, limits=(0, 500))


def test_result_is_drawn_from_the_text_of_csv_files():
    curves, seeds = result_figure(ROUNDS, RUNS, LINES, [PANEL]).axes
    assert [points(line) for line in curves.lines] == [[[100, 200], [101, 201]]] * 2
    assert [label.get_text() for label in seeds.get_yticklabels()] == ["constant +1", "50 labels"]
    dots = [line.get_xdata().tolist() for line in seeds.lines if line.get_marker() == "o"]
    assert dots == [[0, 10, 20]] * 2
    assert seeds.get_xlim() == (0, 500)
    assert [text.get_text() for text in seeds.texts] == ["aim 475"]


def test_an_aim_below_zero_has_a_minus_as_the_axis_has():
    panel = Panel("true_return_mean", "true return", asked=-100)
    _, seeds = result_figure(ROUNDS, RUNS, LINES, [panel]).axes
    assert [text.get_text() for text in seeds.texts] == ["aim −100"]


def test_a_result_says_what_it_is_about():
    figure = result_figure(ROUNDS, RUNS, LINES, [PANEL], title="CartPole-v1 as it is")
    assert figure.get_suptitle() == "CartPole-v1 as it is"
    long = result_figure(ROUNDS, RUNS, LINES, [PANEL], title="MountainCarContinuous-v0 " * 5)
    long.draw_without_rendering()
    (title,) = [text for text in long.texts if text.get_text().startswith("Mountain")]
    assert title.get_window_extent().x1 < long.bbox.x1


def test_panels_say_whose_figures_they_show():
    figure = result_figure(ROUNDS, RUNS, LINES, [PANEL, PANEL], evaluated="deterministic policy, 7 episodes")
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "while learning, exploring",
        "deterministic policy, 7 episodes",
        "",
    ]


def test_every_result_is_as_wide_so_that_text_has_one_size_on_a_page():
    widths = [result_figure(ROUNDS, RUNS, LINES, [PANEL] * n).get_figwidth() for n in (1, 2)]
    assert widths[0] == widths[1]


def test_caption_says_what_line_bar_band_and_dots_are_and_how_many_seeds():
    figure = result_figure(ROUNDS, RUNS, LINES, [PANEL])
    assert figure.get_supxlabel() == ("line and bar: mean over 3 seeds · band: lowest to highest seed · dot: one seed")


def test_caption_of_a_single_run_speaks_of_no_mean_and_no_band():
    assert learning_curve([run([1, 2, 3])]).legends[0].get_title().get_text() == "1 seed"


def test_names_of_settings_keep_clear_of_the_curves_and_of_their_samples():
    lines = {**LINES, "ours": Line("a rather long name of a setting")}
    figure = result_figure(ROUNDS, RUNS, lines, [PANEL, PANEL])
    figure.draw_without_rendering()
    curves, seeds, more = figure.axes
    names = [label.get_window_extent() for label in seeds.get_yticklabels()]
    samples = [line.get_window_extent() for line in seeds.lines if not line.get_clip_on() and line.get_marker() != "o"]
    assert len(samples) == 2
    for name, sample in zip(names, samples, strict=True):
        assert curves.get_window_extent().x1 < name.x0 and name.x1 < sample.x0
        assert sample.x1 < seeds.get_window_extent().x0
    assert not any(label.get_visible() for label in more.get_yticklabels())  # said once is enough


def test_a_result_without_curves_shows_the_seeds_alone():
    (seeds,) = result_figure(ROUNDS, RUNS, LINES, [PANEL], y=None, evaluated="deterministic policy").axes
    assert seeds.get_xlabel() == PANEL.title and seeds.get_title(loc="left") == "deterministic policy"
    assert len(seeds.get_yticklabels()) == len({row["setting"] for row in RUNS} & set(LINES))


def test_runs_with_a_teacher_a_scheme_or_an_algorithm_of_ones_own_have_lines_of_their_own() -> None:
    unlike = [
        {},
        {"teacher": "mine:Noisy"},
        {"query": {"scheme": "mine:far"}},
        {"algo": "a2c"},
        {"kind": "ranking"},
        {"teacher": "random"},
    ]
    configs = [RLHFConfig.for_env("CartPole-v1", **settings) for settings in unlike]
    lines = titles(configs)
    assert [line.title for line in lines] == [
        "50 labels", "50 labels, Noisy", "50 labels, far", "50 labels, a2c", "50 labels, ranking", "50 random answers",
    ]  # fmt: skip
    assert [line.control for line in lines] == [False] * 5 + [True]


def test_runs_that_differ_in_another_setting_have_lines_of_their_own_named_by_it() -> None:
    def config(seed: int, **settings: object) -> RLHFConfig:
        return RLHFConfig.for_env("CartPole-v1", seed=seed, run_dir=f"runs/{seed}", **settings)

    other = {"agent": {"options": {"learning_rate": 1e-4}}, "query": {"rounds": 5}}
    configs = [config(0), config(1, total_timesteps=4096), config(0, **other), config(1, **other), config(0, labels=20)]
    assert [line.title for line in titles(configs)] == [
        *["50 labels, rounds 14, learning_rate 0.001"] * 2,
        *["50 labels, rounds 5, learning_rate 0.0001"] * 2,
        "20 labels",
    ]
