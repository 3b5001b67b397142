"""Fast or gentle: what is measured, and the page that is made of it."""

import numpy as np
import pytest

from experiments.measurements.pareto.page import draw, means, page
from experiments.measurements.pareto.runs import COSTS, RULES, WEIGHTS, jobs, learned_config, measured
from rlhf_gym.segments import Ending, Trajectory
from rlhf_gym.teachers.principles import PrinciplesTeacher

MADE = dict.fromkeys(("machine", "commit", "python", "versions", "date"), "x")
ROWS = [
    {"paid": "learned", "weight": "0.5", "seed": seed, "effort": effort, "speed": speed, **MADE}
    for seed, effort, speed in (("0", "1.0", "4.0"), ("1", "3.0", "6.0"))
] + [{"paid": "true", "weight": "0.1", "seed": "0", "effort": "2.5", "speed": "5.5", **MADE}]


def test_speed_and_effort_are_means_over_all_steps():
    def episode(speeds, action):
        observations = np.zeros((len(speeds) + 1, 17))
        observations[1:, 8] = speeds
        actions = np.full((len(speeds), 6), action)
        return Trajectory(observations, actions, np.zeros(len(speeds)), Ending.TRUNCATED)

    found = measured([episode([1.0, 2.0, 3.0], 0.5), episode([6.0], 1.0)])
    assert found == {"speed": pytest.approx(3.0), "effort": pytest.approx((3 * 1.5 + 6) / 4)}


def test_every_weight_is_run_for_each_seed():
    listed = jobs([0, 1])
    assert len(listed) == 2 * (len(WEIGHTS) + len(COSTS)) == len({tuple(job.key.items()) for job in listed})


def test_the_rules_are_of_two_principles_by_which_the_reward_models_are_named():
    principles = PrinciplesTeacher(RULES)
    assert principles.each == 2
    assert set(learned_config(0.25, 0, 20_000).method_options["weights"]) == {"fast", "gentle"}


def test_the_page_has_means_and_spreads_and_draws_them(tmp_path):
    assert means(ROWS[:2]) == [(0.5, 2.0, 5.0)]
    text = page(ROWS, "python -m experiments.measurements.pareto")
    assert "| learned from one set of answers | 0.5 | 2 | 2.00 | 5.00 (4.00 to 6.00) |" in text
    assert "| paid the true reward | 0.1 | 1 | 2.50 | 5.50 |" in text
    draw(ROWS, tmp_path / "front.png")
    assert (tmp_path / "front.png").stat().st_size > 10_000
