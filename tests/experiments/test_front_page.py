import pytest
from PIL import Image

from experiments.measurements.fractions import Point, elsewhere
from experiments.measurements.front_page import main
from experiments.measurements.labels_figure import CONSTANT, OURS, by_task, draw
from rlhf_gym.sweeps.records import append_rows, read_rows

TASKS = [f"Inverted{number}-v5" for number in range(9)]


def point(task, labels, fraction, *, kind="labels", spread=0.1, above=""):
    return Point(task, kind, labels, fraction, fraction - spread, fraction + spread, 3, f"here: {task}", above)


SHOWN = [point(task, labels, 0.9 + 0.01 * i + labels / 1000) for i, task in enumerate(TASKS) for labels in (50, 100)]
SHOWN += [point("CartPole-v1", 20, 1.0), point("CartPole-v1", 50, 1.0), point(TASKS[0], 700, 1.1)]
WITHOUT = [point(task, 0, 0.1 * i, kind="constant") for i, task in enumerate(TASKS)]


def fill(results_dir, returns):
    rows = [{"setting": setting, "seed": 0, "true_return_mean": value} for setting, value in returns.items()]
    append_rows(results_dir / "cartpole" / "runs.csv", rows)


def panels(figure):
    """The axes that are to be seen, by their task's name."""
    return {ax.get_title(loc="left"): ax for ax in figure.axes if ax.get_visible()}


def marks(ax):
    """Where marks stand: labels and part."""
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_zorder() == 4]


@pytest.mark.parametrize("shown", [SHOWN + WITHOUT, SHOWN[-3:], [point("CartPole-v1", 100, 0.94)]])
def test_every_task_has_a_panel_of_its_own_with_its_name(shown):
    figure = draw([*shown, *elsewhere()], {"they are": ["Pendulum-v1"]})
    figure.draw_without_rendering()
    assert sorted(panels(figure)) == sorted({p.task.partition("-v")[0] for p in shown})
    assert all(ax.title.get_window_extent().x1 <= figure.bbox.x1 for ax in figure.axes)


def test_marks_stand_at_their_true_number_of_labels_whatever_other_tasks_have():
    for task, ax in panels(draw([*SHOWN, *WITHOUT])).items():
        own = sorted((p.labels, p.fraction) for p in SHOWN if p.task.partition("-v")[0] == task)
        assert marks(ax) == own


def test_panels_share_both_axes_so_that_they_can_be_compared():
    axes = list(panels(draw(SHOWN)).values())
    assert len({ax.get_xlim() for ax in axes}) == len({ax.get_ylim() for ax in axes}) == 1
    assert axes[0].get_xscale() == "log"


def test_a_fixed_horizon_stands_beside_the_task_as_it_is():
    shown = [point(task, 50, 0.9) for task in ("A-v5", "B-v5", "A-v5, fixed horizon")]
    assert list(by_task(shown)) == ["A-v5", "A-v5, fixed horizon", "B-v5"]
    assert list(panels(draw(shown))) == ["A", "A, fixed horizon", "B"]


def test_runs_of_a_million_steps_stand_beside_the_others_in_the_panel_of_their_task():
    banded = Point("B-v5, 1M steps", "labels", 50, 0.7, 0.6, 0.8, 3, "here", "", 0.5, 1.1, ppo_seeds=2)
    shown = [point("B-v5, 1M steps", 100, 0.8), banded, point("A-v5", 50, 0.9), point("B-v5", 50, 0.5)]
    assert list(by_task(shown)) == ["B-v5", "A-v5"]
    figure = draw(shown)
    assert marks(panels(figure)["B"]) == [(50, 0.5), (65, 0.7), (130, 0.8)]
    (line,) = [line for line in panels(figure)["B"].lines if line.get_zorder() == 3]
    assert list(line.get_xdata()) == [65, 130]  # and none from 300,000 steps to a million
    (band,) = panels(figure)["B"].patches
    assert band.get_x() < 65 and band.get_x() + band.get_width() > 130
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["this toolkit", "this toolkit, 1M steps"]


def test_a_point_beyond_the_axis_is_an_arrow_at_the_edge_with_its_number_and_a_dashed_line():
    shown = [point("Hopper-v5", 50, 4.2), point("Hopper-v5", 100, 1.4), point("Hopper-v5", 700, 1.2)]
    hopper, reacher = panels(draw([*shown, point("Reacher-v5", 50, -2.6)])).values()
    found = [(line.get_marker(), line.get_ydata()[0]) for line in hopper.lines if line.get_zorder() == 4]
    assert found == [("^", 2.2), ("o", 1.4), ("o", 1.2)]
    assert [text.get_text() for text in (*hopper.texts, *reacher.texts)] == ["4.2", "−2.6"]
    assert [line.get_linestyle() for line in hopper.lines if line.get_zorder() == 3] == ["--", "-"]
    assert hopper.get_ylim() == (pytest.approx(-0.55), pytest.approx(2.25))


def test_others_are_hollow_in_the_panel_of_their_task_and_named_once():
    other = [Point(f"{name}-v4", "elsewhere", 60, 0.5, 0.4, 0.6, 3, f"peer 1.0 on {name}") for name in ("A", "B", "C")]
    figure = draw([point("A-v5", 50, 0.9), point("B-v5", 50, 0.9), *other])
    for ax in panels(figure).values():
        assert [line.get_markerfacecolor() for line in ax.lines if line.get_zorder() == 4] == [OURS, "white"]
        assert marks(ax)[-1] == (60, 0.5)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][3:] == ["peer 1.0"]


def test_a_constant_reward_is_a_level_in_the_panel_of_its_task_as_it_has_no_labels():
    for (task, ax), constant in zip(panels(draw([*SHOWN[:-3], *WITHOUT])).items(), WITHOUT, strict=True):
        levels = [line.get_ydata()[0] for line in ax.lines if line.get_color() == CONSTANT]
        assert task == constant.task.partition("-v")[0] and levels == [constant.fraction]


def test_the_band_of_ppo_reaches_from_its_lowest_to_its_highest_seed():
    shown = Point("Ant-v5", "labels", 50, 0.9, 0.8, 1.0, 3, "here", "", 0.7, 1.2, ppo_seeds=2)
    figure = draw([shown])
    assert "over 3 seeds (PPO: 2)" in figure.legends[0].get_title().get_text()
    (ax,) = panels(figure).values()
    (band,) = ax.patches
    assert (band.get_y(), band.get_y() + band.get_height()) == (0.7, pytest.approx(1.2))


def test_caption_calls_a_range_a_range_and_names_seeds_the_floor_and_what_was_left_out():
    shown = [point("Reacher-v5", 50, 0.9, above="reacher_untrained_policy"), point("Ant-v5", 50, 0.9)]
    figure = draw(shown, {"returns are negative": ["Pendulum-v1"], "its goal is another": ["Acrobot-v1"]})
    caption = figure.legends[0].get_title().get_text()
    assert "mark: mean over 3 seeds" in caption  # which nothing is left out of
    assert "lowest to highest seed" in caption and "95" not in caption
    assert "0: untrained policy" in caption and "1: the better of PPO on the true reward" in caption
    assert "left out, as returns are negative: Pendulum" in caption
    assert "left out, as its goal is another: Acrobot" in caption
    assert "left out" not in draw(shown).legends[0].get_title().get_text()


def test_figure_and_its_numbers_are_written_from_rows(tmp_path, capsys):
    floor = {"fixed_horizon_untrained_policy": 0}
    fill(tmp_path, {"labels_50": 450, "ppo_true_reward": 500, "constant_plus_one": 400, **floor})
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
