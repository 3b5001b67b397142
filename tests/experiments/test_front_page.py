import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from experiments.harness.records import append_rows, read_rows
from experiments.measurements.fractions import Point, elsewhere
from experiments.measurements.front_page import draw, main

TASKS = [f"Inverted{number}-v5" for number in range(9)]


def point(task, labels, fraction, *, kind="labels", spread=0.1, above=""):
    return Point(task, kind, labels, fraction, fraction - spread, fraction + spread, 3, f"here: {task}", above)


OURS = [point(task, labels, 0.9 + 0.01 * i + labels / 1000) for i, task in enumerate(TASKS) for labels in (50, 100)]
OURS += [point("CartPole-v1", 20, 1.0), point("CartPole-v1", 50, 1.0), point(TASKS[0], 700, 1.1)]
CONSTANT = [point(task, 0, 0.1 * i, kind="constant") for i, task in enumerate(TASKS)]


def fill(results_dir, returns):
    rows = [{"setting": setting, "seed": 0, "true_return_mean": value} for setting, value in returns.items()]
    append_rows(results_dir / "cartpole" / "runs.csv", rows)


ELSEWHERE = elsewhere()


def marks(ax):
    """Marks of tasks: one line each, in their order."""
    return [line for line in ax.lines if line.get_zorder() == 4 and line.get_markerfacecolor() not in ("white", "none")]


@pytest.mark.parametrize("ours", [OURS + CONSTANT, OURS[-3:], [point("CartPole-v1", 100, 0.94)]])
def test_every_line_is_named_once_beside_the_axes_in_its_own_look(ours):
    figure = draw([*ours, *ELSEWHERE], {"they are": ["Pendulum-v1"]})
    figure.draw_without_rendering()
    ax = figure.axes[1]
    names = ax.get_legend().get_texts()
    tasks = {p.task for p in ours}
    assert sorted(text.get_text() for text in names) == sorted(task.partition("-v")[0] for task in tasks)
    assert ax.bbox.x1 < min(text.get_window_extent().x0 for text in names)
    assert max(text.get_window_extent().x1 for text in names) <= figure.bbox.x1
    samples = {(line.get_color(), line.get_marker()) for line in ax.get_legend().get_lines()}
    assert samples == {(line.get_color(), line.get_marker()) for line in marks(ax)}


def test_names_stand_in_the_order_in_which_the_lines_end():
    ours = [point("Low-v5", 50, 0.9), point("Low-v5", 100, 0.1), point("High, fixed horizon", 100, 0.5)]
    names = [text.get_text() for text in draw(ours).axes[1].get_legend().get_texts()]
    assert names == ["High,\nfixed horizon", "Low"]


def test_twelve_tasks_differ_by_colour_alone_and_no_two_look_nearly_the_same():
    ours = [point(f"Task{number}-v0", 50, 0.5) for number in range(12)]
    looks = [(np.array(to_rgb(line.get_color())), line.get_marker()) for line in marks(draw(ours).axes[1])]
    assert len(looks) == 12
    pairs = [(a, b) for i, a in enumerate(looks) for b in looks[:i]]
    assert min(np.linalg.norm(a[0] - b[0]) for a, b in pairs) > 0.25
    assert min(np.linalg.norm(a[0] - b[0]) for a, b in pairs if a[1] == b[1]) > 0.5


def test_a_point_beyond_the_axis_is_an_arrow_at_the_edge_with_its_number_and_a_dashed_line():
    ours = [point("Hopper-v5", 50, 4.2), point("Hopper-v5", 100, 1.4), point("Hopper-v5", 700, 1.2)]
    ax = draw([*ours, point("Reacher-v5", 50, -2.6)]).axes[1]
    assert [(line.get_marker(), line.get_ydata()[0]) for line in marks(ax)] == [
        ("^", 2.2),
        ("o", 1.4),
        ("o", 1.2),
        ("v", -0.5),
    ]
    assert [(text.get_text(), text.get_color()) for text in ax.texts[:2]] == [("4.2", "#0072B2"), ("−2.6", "#D55E00")]
    assert [line.get_linestyle() for line in ax.lines if line.get_zorder() == 3] == ["--", "-"]
    assert ax.get_ylim() == (pytest.approx(-0.55), pytest.approx(2.25))


def test_numbers_of_arrows_side_by_side_stand_below_each_other():
    ax = draw([point(task, 50, 4.0) for task in TASKS[:3]]).axes[1]
    assert [text.xyann[1] for text in ax.texts[:3]] == [0, -10, -20]


def test_a_point_alone_stands_at_its_labels_and_others_close_beside():
    (alone,) = marks(draw(OURS[-1:]).axes[1])
    assert alone.get_xdata() == [700]
    places = sorted(x for line in marks(draw(OURS).axes[1]) for x in line.get_xdata() if 70 < x < 150)
    assert len(set(places)) == 9 and 75 < places[0] and places[4] == pytest.approx(100) and places[-1] < 133


def test_what_others_report_is_hollow_and_named_with_its_source():
    figure = draw([*OURS, *ELSEWHERE])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [p.source for p in ELSEWHERE]
    hollow = [line for line in figure.axes[1].lines if line.get_label() in {p.source for p in ELSEWHERE}]
    assert len(hollow) == len(ELSEWHERE) == len({line.get_marker() for line in hollow})
    assert {line.get_markerfacecolor() for line in hollow} == {"white"}


def test_constant_rewards_stand_apart_in_the_style_of_their_task():
    none, some = draw([*OURS, *CONSTANT]).axes
    styles = {(line.get_color(), line.get_marker()) for line in marks(some)}
    assert [line.get_ydata()[0] for line in marks(none)] == [p.fraction for p in CONSTANT]
    assert {(line.get_color(), line.get_marker()) for line in marks(none)} <= styles


def test_an_interval_without_an_upper_end_leaves_the_axis_as_it_is():
    endless = Point("Ant-v5", "labels", 50, 0.9, 0.5, float("inf"), 3, "here")
    assert draw([endless]).axes[1].get_ylim()[1] < 1.5


def test_caption_names_seeds_the_floor_and_what_was_left_out():
    ours = [point("Reacher-v5", 50, 0.9, above="reacher_untrained_policy"), point("Ant-v5", 50, 0.9)]
    caption = (
        draw(ours, {"returns are negative": ["Pendulum-v1"], "its goal is another": ["Acrobot-v1"]})
        .legends[0]
        .get_title()
        .get_text()
    )
    assert "interquartile mean over 3 seeds" in caption
    assert "Reacher-v5: part of the gain over an untrained policy" in caption
    assert "left out, as returns are negative: Pendulum-v1" in caption
    assert "left out, as its goal is another: Acrobot-v1" in caption
    assert "left out" not in draw(ours).legends[0].get_title().get_text()


def test_figure_and_its_numbers_are_written_from_rows(tmp_path, capsys):
    fill(tmp_path, {"labels_50": 450, "ppo_true_reward": 500, "constant_plus_one": 400})
    for _ in range(2):  # made anew
        assert main(tmp_path) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "labels.png")] * 2
    rows = read_rows(tmp_path / "labels.csv")
    assert [(row["task"], row["kind"], row["labels"], row["fraction"]) for row in rows[:2]] == [
        ("CartPole-v1", "labels", "50", "0.9"),
        ("CartPole-v1", "constant", "0", "0.8"),
    ]
    assert len(rows) == 2 + len(elsewhere(tmp_path))
    with Image.open(tmp_path / "labels.png") as picture:
        assert picture.width == 1200
    assert (tmp_path / "labels.png").stat().st_size < 200_000


def test_nothing_to_compare_is_refused_and_nothing_is_written(tmp_path, capsys):
    fill(tmp_path, {"labels_50": 450})
    assert main(tmp_path) == 2
    assert "no task has runs both with labels and of PPO on the true reward" in capsys.readouterr().err
    assert not list(tmp_path.glob("labels.*"))
