"""Settings of the larger experiments: valid, explicit, and compared with what they should be."""

import numpy as np
import pytest

from experiments.harness.settings import load, names
from experiments.questions import classic_control, label_efficiency, mujoco, novel_goals, off_policy, ppo
from rlhf_gym.config import RLHFConfig
from rlhf_gym.registry import make
from rlhf_gym.segments import Ending, Origin, Trajectory

QUESTIONS = (classic_control, label_efficiency, mujoco, novel_goals, off_policy, ppo)
ALL = [(e, name) for e in QUESTIONS[:-1] for name in e.SETTINGS]
ALL += [(ppo, name) for name in ppo.SETTINGS if name.startswith("hopper")]  # the tasks' candidates are the same ones


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


@pytest.mark.parametrize("experiment", QUESTIONS, ids=lambda value: value.__name__)
def test_what_is_asked_is_about_settings_that_exist_and_is_open_without_runs(experiment):
    assert all(asked.judge(experiment.SETTINGS, {}).passed is None for asked in experiment.ASKED)
    assert set(experiment.TESTING) <= set(experiment.SETTINGS)


@pytest.mark.parametrize("name", names())
def test_what_a_setting_asks_by_takes_its_options_whatever_its_preset_asks_by(name):
    for setting in [*load(name).SETTINGS.values(), *load(name).TESTING.values()]:
        query = setting.run_config(setting.seeds[0]).query
        make("query.schedule", query.schedule, query.schedule_options)
        make("query.scheme", query.scheme, query.scheme_options)


@pytest.mark.parametrize("task", mujoco.TASKS)
def test_ppo_has_the_presets_settings_whatever_it_is_paid(task):
    of_task = [s for name, s in mujoco.SETTINGS.items() if s.config["env_id"] == mujoco.TASKS[task]]
    learning = [s for s in of_task if "untrained policy" not in s.title]
    assert len(learning) >= 6
    steps = {s.run_config(0).total_timesteps: s.seeds for s in learning}
    assert steps == {300_000: tuple(range(10)), 1_000_000: tuple(range(5))}
    presets = {n: RLHFConfig.for_env(mujoco.TASKS[task], total_timesteps=n).agent for n in steps}
    assert all(config.agent == presets[config.total_timesteps] for s in learning for config in [s.run_config(0)])


def test_an_ablation_differs_from_its_task_s_preset_in_what_its_line_says_and_nothing_else():
    for task, where in label_efficiency.TASKS.items():
        base = label_efficiency.SETTINGS[f"{task}_preset"].run_config(0)
        for name, (_, config) in label_efficiency.VARIANTS.items():
            variant = label_efficiency.SETTINGS.get(f"{task}_{name}")  # none that differs in nothing
            assert (variant.run_config(0) if variant else base) == base.replace(**config), (where.title, name)
            assert variant is None or variant.run_config(0) != base, (where.title, name)


def test_what_ppo_is_tuned_by_does_not_follow_the_presets_and_is_of_seeds_that_no_result_has():
    plain = ppo.SETTINGS["half_cheetah_plain"].run_config(100).agent
    assert set(plain.options) == set(ppo.settings.ON_POLICY) and not plain.normalize_rewards
    assert {seed for s in ppo.SETTINGS.values() for seed in s.seeds} == {100, 101, 102}


def test_the_best_candidate_is_told_with_its_spread_and_whether_the_preset_has_it():
    returns = {"half_cheetah_plain": (10, 20, 30), "half_cheetah_normalised": (5, 25, 60)}
    runs = {name: [{"true_return_mean": str(v)} for v in values] for name, values in returns.items()}
    row = list(ppo.more(ppo.SETTINGS, runs))[-1]
    assert row == (
        "| HalfCheetah-v5 | 300k | rewards normalised | 30.0 (5.0 to 60.0), mean of 3 seeds | "
        f"as it was: 20.0 (10.0 to 30.0), mean of 3 seeds | {'yes' if ppo.in_preset(*BEST) else '**no**'} |"
    )
    assert ppo.Best("half_cheetah", 30).judge(ppo.SETTINGS, runs).passed is None  # other candidates are missing
    runs |= {name: [{"true_return_mean": "0"}] * 3 for name in ppo.settings.names("half_cheetah") if name not in runs}
    judged = [ppo.Best("half_cheetah", least).judge(ppo.SETTINGS, runs) for least in (30, 31)]
    assert [verdict.passed for verdict in judged] == [True, False]


BEST = ("half_cheetah", "half_cheetah_normalised")


@pytest.mark.parametrize("experiment", QUESTIONS, ids=lambda value: value.__name__)
def test_an_answer_is_one_sentence_once_nothing_is_missing(experiment):
    measures = {m for s in experiment.SETTINGS.values() for m in s.measures}

    def rows(setting):
        returns = (5 + 90 * (not setting.control) + seed for seed in setting.seeds)
        return [{"true_return_mean": str(value), **dict.fromkeys(measures, str(value))} for value in returns]

    runs = {name: rows(setting) for name, setting in experiment.SETTINGS.items()}
    answer = experiment.answer(experiment.SETTINGS, runs)
    assert answer.endswith(".") and ". " not in answer
