"""Settings of the larger experiments: valid, explicit, and compared with what they should be."""

import numpy as np
import pytest

from experiments.questions import classic_control, mujoco, novel_goals
from experiments.questions.novel_goals.measures import (
    flips_backwards,
    flips_forwards,
    metres_backwards,
    metres_on_back_leg,
    pendulum_turns,
)
from rlhf_gym.config import RLHFConfig
from rlhf_gym.registry import GOALS
from rlhf_gym.segments import Ending, Origin, Trajectory

ALL = [(e, name) for e in (classic_control, mujoco, novel_goals) for name in e.SETTINGS]


def episode(env_id, size, number, velocity, steps=100):
    observations = np.zeros((steps + 1, size))
    observations[1:, number] = velocity
    return Trajectory(observations, np.zeros((steps, 1)), np.zeros(steps), Ending.TRUNCATED, Origin(env_id, 0))


@pytest.mark.parametrize(("experiment", "name"), ALL, ids=lambda value: getattr(value, "__name__", value))
def test_every_setting_is_a_valid_run_of_a_family_of_its_own(experiment, name):
    setting = experiment.SETTINGS[name]
    config = setting.run_config(setting.seeds[0])
    assert config.labels > 0 or config.reward.source != "learned"
    assert sum(name in family.settings for family in experiment.FAMILIES.values()) == 1


@pytest.mark.parametrize("experiment", [classic_control, mujoco, novel_goals], ids=lambda value: value.__name__)
def test_what_is_asked_is_about_settings_that_exist_and_is_open_without_runs(experiment):
    assert all(asked.judge(experiment.SETTINGS, {}).passed is None for asked in experiment.ASKED)
    assert set(experiment.TESTING) <= set(experiment.SETTINGS)


@pytest.mark.parametrize("task", mujoco.TASKS)
def test_ppo_has_the_presets_settings_whatever_it_is_paid(task):
    of_task = [s for name, s in mujoco.SETTINGS.items() if s.config["env_id"] == mujoco.TASKS[task]]
    learning = [s for s in of_task if "untrained policy" not in s.title]
    assert len(learning) >= 6
    preset = RLHFConfig.for_env(mujoco.TASKS[task]).agent
    assert all(s.run_config(0).agent == preset for s in learning)
    assert {s.run_config(0).total_timesteps for s in learning} == {300_000}


@pytest.mark.parametrize("task", novel_goals.TASKS)
def test_a_goal_is_judged_by_its_own_measure_and_its_controls_share_it(task):
    settings = [s for name, s in novel_goals.SETTINGS.items() if name.startswith(task)]
    assert len(settings) == 4 and sum(not s.control for s in settings) == 1
    assert {s.config["feedback"]["goal"] for s in settings} <= set(GOALS)
    assert len({s.asked for s in settings}) == 1
    assert all(bound.measure in s.measures for s in settings for bound in s.threshold)


@pytest.mark.parametrize(
    ("measure", "env_id", "size", "number", "velocity", "expected"),
    [
        (pendulum_turns, "Pendulum-v1", 3, 2, 2 * np.pi, 5),
        (metres_backwards, "HalfCheetah-v5", 17, 8, -3, 15),
        (flips_forwards, "HalfCheetah-v5", 17, 10, 4 * np.pi, 10),
        (flips_backwards, "Hopper-v5", 11, 7, -2.5 * np.pi, 1),
    ],
)
def test_measures_add_up_velocities_over_an_episode(measure, env_id, size, number, velocity, expected):
    right, none = episode(env_id, size, number, velocity), episode(env_id, size, number, 0)
    assert measure([right]) == pytest.approx(expected)
    assert measure([right, none]) == pytest.approx(expected / 2)


def test_metres_on_the_back_leg_are_none_without_a_leg_held_up():
    assert metres_on_back_leg([episode("HalfCheetah-v5", 17, 8, 0.0)]) == 0
