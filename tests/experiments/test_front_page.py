import pytest
from matplotlib.text import Text
from PIL import Image

from experiments.fractions import Point, elsewhere
from experiments.front_page import draw, main, spread
from experiments.records import append_rows, read_rows

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


def overlap(one, other):
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1


@pytest.mark.parametrize("ours", [OURS + CONSTANT, OURS[-3:], [point("CartPole-v1", 100, 0.94)]])
def test_every_line_is_named_once_and_names_keep_clear_of_each_other(ours):
    figure = draw([*ours, *ELSEWHERE], ["Pendulum-v1"])
    figure.draw_without_rendering()
    texts = figure.axes[1].texts
    assert sorted(text.get_text() for text in texts) == sorted(
        {p.task.removesuffix("-v5").removesuffix("-v1") for p in ours} | {"PPO on the true reward"}
    )
    boxes = [Text.get_window_extent(text) for text in texts]  # of an annotation: without its line
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if overlap(a, b)]
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_lines_differ_by_colour_and_marker():
    lines = [line for line in draw(OURS).axes[1].lines if line.get_zorder() == 3]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == len(lines) == len(TASKS) + 1


def test_a_point_alone_stands_at_its_labels_and_others_close_beside():
    alone, *_ = draw(OURS[-1:]).axes[1].lines
    assert alone.get_xdata() == [700]
    lines = [line for line in draw(OURS).axes[1].lines if line.get_zorder() == 3]
    places = sorted(x for line in lines for x in line.get_xdata() if 70 < x < 150)
    assert len(set(places)) == 9 and 75 < places[0] and places[4] == pytest.approx(100) and places[-1] < 133


def test_what_others_report_is_hollow_and_named_with_its_source():
    figure = draw([*OURS, *ELSEWHERE])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [p.source for p in ELSEWHERE]
    marks = [line for line in figure.axes[1].lines if line.get_label() in {p.source for p in ELSEWHERE}]
    assert len(marks) == len(ELSEWHERE) == len({line.get_marker() for line in marks})
    assert {line.get_markerfacecolor() for line in marks} == {"white"}


def test_constant_rewards_stand_apart_in_the_style_of_their_task():
    none, some = draw([*OURS, *CONSTANT]).axes
    styles = {(line.get_color(), line.get_marker()) for line in some.lines if line.get_zorder() == 3}
    marks = [line for line in none.lines if line.get_marker() != "None"]
    assert [line.get_ydata()[0] for line in marks] == [p.fraction for p in CONSTANT]
    assert {(line.get_color(), line.get_marker()) for line in marks} <= styles


def test_an_interval_without_an_upper_end_leaves_the_axis_as_it_is():
    endless = Point("Ant-v5", "labels", 50, 0.9, 0.5, float("inf"), 3, "here")
    assert draw([endless]).axes[1].get_ylim()[1] < 1.5


def test_caption_names_seeds_the_floor_and_what_was_left_out():
    ours = [point("Reacher-v5", 50, 0.9, above="reacher_untrained_policy"), point("Ant-v5", 50, 0.9)]
    caption = draw(ours, ["Pendulum-v1"]).legends[0].get_title().get_text()
    assert "interquartile mean over 3 seeds" in caption
    assert "Reacher-v5: part of the gain over an untrained policy" in caption
    assert "left out, as returns are negative: Pendulum-v1" in caption
    assert "left out" not in draw(ours).legends[0].get_title().get_text()


def test_heights_are_spread_no_more_than_needed_and_keep_their_order():
    assert spread([3.0, 1.0, 2.0], gap=1) == [3, 1, 2]
    assert spread([1.0, 1.0], gap=1) == [0.5, 1.5]
    assert spread([5.0, 1.0, 1.5], gap=1) == [5, 0.75, 1.75]
    assert spread([1.0, 1.0, 2.0], gap=1) == pytest.approx([1 / 3, 4 / 3, 7 / 3])
    assert spread([], gap=1) == []


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
