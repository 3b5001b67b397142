import pytest

from experiments.harness.settings import names
from experiments.measurements.fractions import PUBLISHED, elsewhere, measured, results_with_rows
from rlhf_gym.sweeps.records import append_rows


def fill(results_dir, experiment, returns):
    """Rows of an experiment, as far as they are looked at: the true return of each seed, by setting."""
    rows = [
        {"setting": setting, "seed": seed, "true_return_mean": value}
        for setting, seeds in returns.items()
        for seed, value in enumerate(seeds)
    ]
    append_rows(results_dir / experiment / "runs.csv", rows)


def points(results_dir, kind="labels"):
    found, _ = measured(results_with_rows(results_dir))
    return {(point.task, point.labels): point for point in found if point.kind == kind}


HOPPER = {"hopper_untrained_policy": [100]}


def test_a_point_is_a_part_of_what_ppo_gains_on_the_same_task(tmp_path):
    returns = {"hopper_50": [200, 300, 400], "hopper_20": [700], "hopper_ppo_true_reward": [500]}
    fill(tmp_path, "mujoco", returns | HOPPER)
    found = points(tmp_path)
    assert {key: point.fraction for key, point in found.items()} == {("Hopper-v5", 50): 0.5, ("Hopper-v5", 20): 1.5}
    point = found["Hopper-v5", 50]
    assert (point.low, point.high, point.n_seeds, point.ppo_seeds) == (0.25, 0.75, 3, 1)
    assert (point.source, point.above) == ("mujoco: hopper_50", "hopper_untrained_policy")


def test_a_point_is_a_part_of_what_the_better_ppo_gains(tmp_path):
    returns = {"hopper_50": [300], "hopper_ppo_true_reward": [500], "hopper_ppo_scaled": [900]}
    fill(tmp_path, "mujoco", returns | HOPPER)
    (point,) = points(tmp_path).values()
    assert (point.fraction, point.ppo_low, point.ppo_high) == (0.25, 1, 1)


def test_a_range_reaches_from_the_lowest_to_the_highest_seed_and_is_not_resampled(tmp_path):
    fill(tmp_path, "mujoco", {"hopper_50": [190, 220, 400], "hopper_ppo_true_reward": [250, 550], **HOPPER})
    (point,) = points(tmp_path).values()
    assert (point.low, point.high) == (90 / 300, 300 / 300)
    assert (point.ppo_low, point.ppo_high) == (150 / 300, 450 / 300)


def test_negative_returns_are_counted_from_an_untrained_policy(tmp_path):
    returns = {"reacher_50": [-15], "reacher_ppo_true_reward": [-5], "reacher_untrained_policy": [-45]}
    fill(tmp_path, "mujoco", returns)
    (point,) = points(tmp_path).values()
    assert (point.fraction, point.above) == (0.75, "reacher_untrained_policy")


def test_tasks_without_an_untrained_policy_are_named_as_left_out(tmp_path):
    fill(tmp_path, "classic_control", {"pendulum_100": [-200], "pendulum_ppo_true_reward": [-150]})
    assert measured(results_with_rows(tmp_path)) == ([], {"no untrained policy was run": ["Pendulum-v1"]})


def test_what_is_below_the_untrained_policy_is_below_zero(tmp_path):
    fill(tmp_path, "mujoco", {"ant_50": [800], "ant_ppo_true_reward": [1500], "ant_untrained_policy": [1000]})
    (point,) = points(tmp_path).values()
    assert (point.fraction, point.above) == (-0.4, "ant_untrained_policy")


def test_an_untrained_policy_counts_however_the_others_learn_in_its_environment(tmp_path):
    returns = {"labels_20": [250], "ppo_true_reward": [500], "fixed_horizon_untrained_policy": [0]}
    fill(tmp_path, "cartpole", returns)
    assert points(tmp_path)["CartPole-v1", 20].fraction == 0.5


def test_a_run_of_a_million_steps_is_a_task_of_its_own(tmp_path):
    returns = {"hopper_50_1m": [300], "hopper_ppo_true_reward_1m": [500], **HOPPER}
    fill(tmp_path, "mujoco", returns)
    assert {key: point.fraction for key, point in points(tmp_path).items()} == {("Hopper-v5, 1M steps", 50): 0.5}


def test_what_is_not_run_yet_is_skipped(tmp_path):
    assert measured(results_with_rows(tmp_path)) == ([], {})
    fill(tmp_path, "mujoco", {"ant_50": [50], "hopper_ppo_true_reward": [400], "hopper_random_answers": [100]})
    assert measured(results_with_rows(tmp_path)) == ([], {})
    fill(tmp_path, "cartpole", {"labels_20": [250], "ppo_true_reward": [500], "fixed_horizon_untrained_policy": [0]})
    assert {key: point.fraction for key, point in points(tmp_path).items()} == {("CartPole-v1", 20): 0.5}


def test_the_better_constant_reward_stands_beside_without_labels(tmp_path):
    returns = {"constant_plus_one": [400], "constant_minus_one": [10], "labels_20": [450], "ppo_true_reward": [500]}
    fill(tmp_path, "cartpole", returns | {"fixed_horizon_untrained_policy": [0]})
    (point,) = points(tmp_path, "constant").values()
    assert (point.labels, point.fraction, point.source) == (0, 0.8, "cartpole: constant_plus_one")


def test_an_untrained_policy_is_not_a_constant_reward(tmp_path):
    returns = {"hopper_50": [300], "hopper_ppo_true_reward": [400], "hopper_untrained_policy": [999]}
    fill(tmp_path, "mujoco", returns)
    assert points(tmp_path, "constant") == {}


def test_fixed_horizon_is_a_task_of_its_own_and_other_goals_are_none(tmp_path):
    returns = {"fixed_horizon_100": [100], "fixed_horizon_ppo_true_reward": [500]}
    more = {"hold_at_one_100": [500], "hold_at_one_ppo_goal": [500], "fixed_horizon_untrained_policy": [0]}
    fill(tmp_path, "cartpole", returns | more)
    assert list(points(tmp_path)) == [("CartPole-v1, fixed horizon", 100)]


def test_an_oracle_with_another_goal_is_not_compared_with_the_true_reward_and_named_as_left_out(tmp_path):
    fill(
        tmp_path,
        "classic_control",
        {"mountain_car_continuous_100": [90], "mountain_car_continuous_ppo_true_reward": [80]},
    )
    assert measured(results_with_rows(tmp_path)) == (
        [],
        {"their oracle judges another goal": ["MountainCarContinuous-v0"]},
    )
    returns = {"hold_at_one_100": [480], "labels_20": [250], "ppo_true_reward": [500]}
    fill(tmp_path, "cartpole", returns | {"fixed_horizon_untrained_policy": [0]})
    _, left_out = measured(results_with_rows(tmp_path))
    assert left_out == {"their oracle judges another goal": ["MountainCarContinuous-v0"]}  # CartPole has a point


def test_imitations_part_is_taken_of_what_its_own_ppo_reaches(tmp_path):
    returns = {"imitation": (100, 300), "imitation_ppo": (400, 600), "rlhf_gym": (900, 900)}
    shared = {"task": "half_cheetah_700", "env_id": "HalfCheetah-v4", "labels": 700}
    rows = [{**shared, "who": who, "true_return_mean": value} for who, values in returns.items() for value in values]
    append_rows(tmp_path / "peers" / "runs.csv", rows)
    assert elsewhere(tmp_path) == list(PUBLISHED)  # from what nobody knows
    fill(tmp_path, "mujoco", {"half_cheetah_untrained_policy": [0]})
    cheetah, *published = elsewhere(tmp_path)
    assert (cheetah.task, cheetah.labels, cheetah.fraction, cheetah.n_seeds) == ("HalfCheetah-v4", 700, 0.4, 2)
    assert (cheetah.low, cheetah.high) == pytest.approx((100 / 500, 300 / 500))  # its lowest and its highest seed
    assert published == list(PUBLISHED) == elsewhere(tmp_path / "nowhere")


def test_imitation_is_placed_by_the_settings_that_it_documents(tmp_path):
    returns = {"imitation": -160, "imitation_our_agent": -700, "imitation_ppo": -180, "rlhf_gym": -150}
    shared = {"task": "pendulum_100", "env_id": "Pendulum-v1", "labels": 100}
    append_rows(
        tmp_path / "peers" / "runs.csv", [{**shared, "who": w, "true_return_mean": r} for w, r in returns.items()]
    )
    fill(tmp_path, "classic_control", {"pendulum_untrained_policy": [-1180]})
    pendulum, *_ = elsewhere(tmp_path)
    assert (pendulum.task, pendulum.fraction) == ("Pendulum-v1", 1.02)


def test_experiments_are_found_by_their_families():
    assert {"cartpole", "classic_control", "mujoco", "novel_goals"} <= set(names())
