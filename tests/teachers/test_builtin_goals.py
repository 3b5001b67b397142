"""Every index and every sign is held against the simulator's own state."""

import gymnasium
import mujoco
import numpy as np
import pytest

from rlhf_gym import registry
from rlhf_gym.envs import make_env
from rlhf_gym.segments import Origin
from rlhf_gym.teachers import goal_rewards, load_goal
from rlhf_gym.teachers.builtin_goals import (
    CHEETAH_BACK,
    CHEETAH_FRONT,
    WALKER_LEG,
    WALKER_TURNS,
    _end_height,
)

MADE_FOR = [
    ("cart_pole_hold_at_one", "CartPole-v1"),
    ("pendulum_spin", "Pendulum-v1"),
    ("acrobot_height", "Acrobot-v1"),
    ("mountain_car_progress", "MountainCar-v0"),
    ("mountain_car_progress", "MountainCarContinuous-v0"),
    ("mountain_car_top", "MountainCar-v0"),
    ("mountain_car_top", "MountainCarContinuous-v0"),
    ("half_cheetah_backwards", "HalfCheetah-v5"),
    ("half_cheetah_flip", "HalfCheetah-v5"),
    ("half_cheetah_one_leg", "HalfCheetah-v5"),
    ("hopper_backflip", "Hopper-v5"),
    ("walker_one_leg", "Walker2d-v5"),
]

GOALS = {name: load_goal(name) for name in registry.GOALS}


def reward(name, next_observation):
    """What a goal gives for one step that leads to an observation."""
    after = np.array([next_observation], float)
    return float(GOALS[name](np.full_like(after, 9), np.zeros(1), after)[0])


def placed(env_id, *, qvel=None, **qpos):
    """An environment of MuJoCo's, at rest with zero joint angles but for what is given by name; and its observation."""
    env = gymnasium.make(env_id, reset_noise_scale=0.0)
    env.reset(seed=0)
    inner = env.unwrapped
    positions, velocities = inner.init_qpos.copy(), inner.init_qvel.copy()
    for name, value in qpos.items():
        positions[inner.model.joint(name).qposadr[0]] = value
    for name, value in (qvel or {}).items():
        velocities[inner.model.joint(name).dofadr[0]] = value
    inner.set_state(positions, velocities)
    return env, inner._get_obs()


def test_every_goal_has_its_environment_here():
    assert {name for name, _ in MADE_FOR} == set(GOALS)


@pytest.mark.parametrize(("name", "env_id"), MADE_FOR)
def test_a_goal_gives_a_finite_number_per_step_of_its_environment(name, env_id):
    env = make_env(Origin(env_id, 0))
    env.action_space.seed(0)
    observations, actions = [env.reset(seed=0)[0].copy()], []
    for _ in range(30):
        actions.append(env.action_space.sample())
        observation, _, terminated, truncated, _ = env.step(actions[-1])
        observations.append(observation.copy())
        if terminated or truncated:
            break
    arrays = np.array(observations[:-1]), np.array(actions), np.array(observations[1:])
    before = [array.copy() for array in arrays]
    rewards = goal_rewards(GOALS[name], *arrays)  # which refuses infinity, and hands out read-only arrays
    assert rewards.shape == (len(actions),)
    assert all(np.array_equal(*pair) for pair in zip(arrays, before, strict=True))
    one_by_one = [GOALS[name](*(array[i : i + 1] for array in arrays))[0] for i in range(len(actions))]
    np.testing.assert_allclose(one_by_one, rewards, rtol=1e-5)
    np.testing.assert_allclose(goal_rewards(GOALS[name], arrays[0] + 1, arrays[1], arrays[2]), rewards)


@pytest.mark.parametrize("name", GOALS)
def test_an_observation_of_another_environment_is_refused(name):
    with pytest.raises(ValueError, match=r"feedback.goal is made for .*-v\d, .* given one of shape \(5,\)") as refusal:
        GOALS[name](np.zeros((2, 5)), np.zeros(2), np.zeros((2, 5)))
    assert "\n" not in str(refusal.value)


def test_positions_that_are_observed_too_are_refused_for_they_shift_every_number():
    env = gymnasium.make("HalfCheetah-v5", exclude_current_positions_from_observation=False)
    observation, _ = env.reset(seed=0)
    with pytest.raises(ValueError, match=r"shape \(17,\), and was given one of shape \(18,\)"):
        reward("half_cheetah_backwards", observation)


# Classic control


def test_cart_pole_is_paid_one_at_plus_one_and_fades_by_e_every_half_metre():
    assert reward("cart_pole_hold_at_one", [1, 0, 0, 0]) == 1
    assert reward("cart_pole_hold_at_one", [0, 0, 0, 0]) == pytest.approx(np.exp(-2))


def test_cart_pole_reads_the_position_of_the_cart():
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=0)
    env.unwrapped.state = np.array([1.5, 0.0, 0.0, 0.0])
    assert reward("cart_pole_hold_at_one", env.step(0)[0]) == pytest.approx(np.exp(-1))


def test_pendulum_spin_sums_to_the_angle_that_the_simulator_has_turned():
    env = gymnasium.make("Pendulum-v1")
    env.reset(seed=0)
    start, total = env.unwrapped.state[0], 0.0
    env.unwrapped.state = np.array([start, 6.0])
    for _ in range(100):
        velocity = env.unwrapped.state[1]
        total += reward("pendulum_spin", env.step(np.array([2 * np.sign(velocity)], np.float32))[0])
    turned = env.unwrapped.state[0] - start
    assert turned > 4 * np.pi
    assert total * 0.05 == pytest.approx(turned, rel=1e-5)


def test_pendulum_spin_pays_for_counter_clockwise():
    env = gymnasium.make("Pendulum-v1", render_mode="rgb_array")
    env.reset(seed=0)
    middles = []
    for angle in (0.0, 0.5):  # upright, then further along positive velocity
        env.unwrapped.state, env.unwrapped.last_u = np.array([angle, 0.0]), None
        red, green, _ = np.moveaxis(env.render().astype(int), -1, 0)
        middles.append(np.nonzero(red - green > 50)[1].mean())  # the rod's columns
    env.close()
    assert middles[1] < middles[0] - 10  # to the left of the top


@pytest.mark.parametrize(
    ("angles", "value"),
    [
        ((0, 0), -2),  # hanging down, 3 below the line
        ((np.pi / 2, 0), -1 - 1 / 3),  # level, at 0
        ((np.pi / 2, np.pi / 2), -1),  # on the line
        ((np.pi, 0), -1),  # upright, above it
    ],
)
def test_acrobot_height_counts_from_the_line(angles, value):
    env = gymnasium.make("Acrobot-v1")
    env.reset(seed=0)
    env.unwrapped.state = np.array([*angles, 0.0, 0.0])
    assert reward("acrobot_height", env.unwrapped._get_ob()) == pytest.approx(value, abs=1e-6)


def test_acrobot_height_is_the_height_by_which_the_environment_ends_an_episode():
    env = gymnasium.make("Acrobot-v1")
    env.reset(seed=0)
    for state in np.random.default_rng(0).uniform(-np.pi, np.pi, (200, 4)):
        env.unwrapped.state = state
        above = reward("acrobot_height", env.unwrapped._get_ob()) == -1
        assert above == env.unwrapped._terminal()


def drive(env_id, force):
    """Sum of mountain_car_progress over one episode of a policy (velocity -> force); with the steps it took."""
    env = gymnasium.make(env_id)
    observation, _ = env.reset(seed=3)
    total, steps, over = 0.0, 0, False
    while not over:
        push = force(float(observation[1]))
        action = round(push) + 1 if env_id == "MountainCar-v0" else np.array([push], np.float32)
        observation, _, terminated, truncated, _ = env.step(action)
        total, steps, over = total + reward("mountain_car_progress", observation), steps + 1, terminated or truncated
    return total, steps, terminated


@pytest.mark.parametrize("env_id", ["MountainCar-v0", "MountainCarContinuous-v0"])
def test_mountain_car_progress_prefers_the_sooner_way_up_and_any_way_up_to_none(env_id):
    def swing(velocity):
        return 1 if velocity >= 0 else -1

    def late(velocity):  # pushes in one direction only
        return 1 if velocity >= 0 else 0

    def never(velocity):
        return 1

    (soon, n_soon, up), (later, n_later, up_later), (stuck, _, up_never) = (
        drive(env_id, force) for force in (swing, late, never)
    )
    assert (up, up_later, up_never) == (True, True, False)
    assert n_soon < n_later
    assert soon > later > stuck


def test_mountain_car_progress_reads_energy_which_coasting_keeps_and_pushing_along_raises():
    env = gymnasium.make("MountainCar-v0")
    env.reset(seed=0)

    def after(actions):
        env.unwrapped.state = np.array([-0.7, 0.02])
        return [reward("mountain_car_progress", env.step(action)[0]) for action in actions]

    coasting = after([1] * 20)
    assert np.ptp(coasting) < 0.03
    assert after([2] * 10)[-1] > coasting[9] + 0.1 > coasting[9] > after([0] * 10)[-1]


@pytest.mark.parametrize(
    ("state", "value"),
    [
        ((-np.pi / 6, 0), -1),  # at rest in the valley
        ((0.5, 0), 0),  # on top
        ((-np.pi / 6, 0.07), 0),  # fast enough to get there: 0.07^2 / 2 > 0.001665
        ((0, 0), -np.sin(1.5) / (1 + np.sin(1.5))),
    ],
)
def test_mountain_car_progress_by_hand(state, value):
    assert reward("mountain_car_progress", state) == pytest.approx(value, abs=1e-12)


def test_energy_without_arriving_is_the_best_there_is_by_progress_and_not_by_top():
    fast, there = (-np.pi / 6, 0.07), (0.5, 0.01)  # in the valley, with more than the energy it takes; and on the top
    assert reward("mountain_car_progress", fast) == reward("mountain_car_progress", there) == 0
    assert (reward("mountain_car_top", fast), reward("mountain_car_top", there)) == (-0.5, 0)
    assert reward("mountain_car_top", (-np.pi / 6, 0)) == pytest.approx(-1)  # at rest in the valley


@pytest.mark.parametrize(("actions", "top"), [(np.zeros(2, int), 0.5), (np.zeros((2, 1)), 0.45)])
def test_the_top_is_where_the_environment_of_such_actions_ends_an_episode(actions, top):
    after = np.array([[top, 0.03], [top - 0.01, 0.03]], np.float32)
    assert GOALS["mountain_car_top"](after, actions, after) == pytest.approx([0, -0.5])


def test_whoever_hangs_about_below_the_top_goes_on_paying_and_whoever_goes_on_does_not():
    waiting = reward("mountain_car_progress", [0.49, 0])  # where full throttle outweighs the slope
    assert waiting < 0 == reward("mountain_car_progress", [0.5, 0.01])


@pytest.mark.parametrize(
    ("name", "numbers", "least", "most"), [("acrobot_height", 6, -2, -1), ("mountain_car_progress", 2, -1, 0)]
)
def test_a_step_of_progress_is_never_worth_more_than_having_arrived(name, numbers, least, most):
    seen = np.random.default_rng(0).uniform(-1, 1, (1000, numbers))
    rewards = GOALS[name](seen, np.zeros(1000), seen)
    assert rewards.min() >= least and rewards.max() <= most <= 0


# MuJoCo


@pytest.mark.parametrize(
    ("name", "env_id", "qvel", "value"),
    [
        ("half_cheetah_backwards", "HalfCheetah-v5", {"rootx": -1.5}, 1.5),
        ("half_cheetah_backwards", "HalfCheetah-v5", {"rootx": 1.5, "rootz": 3}, -1.5),
        ("half_cheetah_flip", "HalfCheetah-v5", {"rooty": 2.5, "rootx": 4}, 2.5),
        ("hopper_backflip", "Hopper-v5", {"rooty": -3, "rootx": 4}, 3 * 1.25),  # standing is 1.25 m high
        ("hopper_backflip", "Hopper-v5", {"rooty": 3, "thigh_joint": 1}, -3 * 1.25),
    ],
)
def test_velocities_are_those_of_the_simulator(name, env_id, qvel, value):
    _, observation = placed(env_id, qvel=qvel)
    assert reward(name, observation) == pytest.approx(value)


def test_backwards_is_minus_the_velocity_that_the_environment_pays_for():
    env = gymnasium.make("HalfCheetah-v5")
    env.action_space.seed(0)
    env.reset(seed=0)
    start, total = env.unwrapped.data.qpos[0], 0.0
    given, paid = [], []
    for _ in range(200):
        observation, _, _, _, info = env.step(env.action_space.sample())
        given.append(reward("half_cheetah_backwards", observation))
        paid.append(info["x_velocity"])
        total += given[-1]
    assert np.corrcoef(given, paid)[0, 1] < -0.9  # at the end of a step, and over it
    assert total * 0.05 == pytest.approx(start - env.unwrapped.data.qpos[0], abs=0.2)


@pytest.mark.parametrize(
    ("env_id", "name"), [("HalfCheetah-v5", "half_cheetah_flip"), ("Hopper-v5", "hopper_backflip")]
)
def test_flips_turn_the_way_that_their_names_say(env_id, name):
    env, still = placed(env_id)
    inner = env.unwrapped
    torso = inner.data.body("torso")
    # What points up in the body when it stands (the Hopper's head) or ahead (the cheetah's).
    axis = 2 if env_id == "Hopper-v5" else 0

    def head():
        mujoco.mj_forward(inner.model, inner.data)
        return torso.xmat.reshape(3, 3)[:, axis].copy()

    before = head()
    sign = -1 if env_id == "Hopper-v5" else 1
    velocity = inner.init_qvel.copy()
    velocity[2] = sign * 2.0
    inner.set_state(inner.init_qpos + np.eye(inner.model.nq)[1], velocity)  # a metre up, so that nothing is touched
    observation = env.step(np.zeros(env.action_space.shape))[0]
    assert reward(name, observation) > 0.5
    moved = head() - before
    if env_id == "Hopper-v5":
        assert moved[0] < 0  # the head goes back, x being ahead
    else:
        assert moved[2] < 0  # the head goes down


def test_the_angle_of_a_flip_is_not_wrapped_and_leaves_the_reward_as_it_is():
    _, once = placed("Hopper-v5", qvel={"rooty": -3}, rooty=-0.5)
    _, again = placed("Hopper-v5", qvel={"rooty": -3}, rooty=-0.5 - 4 * np.pi)
    assert again[1] - once[1] == pytest.approx(-4 * np.pi)
    assert reward("hopper_backflip", again) == reward("hopper_backflip", once)


@pytest.mark.parametrize(
    ("env_id", "joints", "bones", "turns", "lowest", "foot"),
    [
        ("HalfCheetah-v5", [1, 5, 6, 7], CHEETAH_FRONT, (1, 1, 1, 1), 0.7, "ffoot"),
        ("HalfCheetah-v5", [1, 2, 3, 4], CHEETAH_BACK, (1, 1, 1, 1), 0.7, "bfoot"),
        ("Walker2d-v5", [1, 2, 3, 4], WALKER_LEG, WALKER_TURNS, 0.0, "foot_geom"),
        ("Walker2d-v5", [1, 5, 6, 7], WALKER_LEG, WALKER_TURNS, 0.0, "foot_left_geom"),
    ],
)
def test_heights_of_feet_are_those_of_the_simulator(env_id, joints, bones, turns, lowest, foot):
    kwargs = {"terminate_when_unhealthy": False} if env_id == "Walker2d-v5" else {}
    env = gymnasium.make(env_id, **kwargs)
    inner = env.unwrapped
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(50):
        observation = env.step(env.action_space.sample())[0][None]
        mujoco.mj_kinematics(inner.model, inner.data)  # a step leaves places as they were before its last part
        height = _end_height(lowest + observation[:, 0], observation[:, joints] * np.array(turns), bones)
        assert height == pytest.approx(inner.data.geom(foot).xpos[2], abs=1e-9)


# Hips and knees that lift a foot; all but the back one by more than 0.2 m.
FRONT_UP, BACK_UP = {"fthigh": -0.9, "fshin": -1.1}, {"bthigh": -0.5, "bshin": 0.7}
LEFT_UP = {"thigh_left_joint": -1.2, "leg_left_joint": -1.2}
RIGHT_UP = {"thigh_joint": -1.2, "leg_joint": -1.2}


@pytest.mark.parametrize(
    ("joints", "speed", "value"),
    [
        (FRONT_UP, 2.0, 2.0),
        (FRONT_UP, 0.0, 0.0),  # standing still
        (FRONT_UP, -2.0, 0.0),  # going back
        ({"fthigh": -0.9, "fshin": -1.1, "rooty": np.pi}, 2.0, 0.0),  # on its back
        (
            {"fthigh": -0.9, "fshin": -1.1, "bthigh": -0.5, "bshin": 0.785, "rooty": 0.9},
            2.0,
            0.0,
        ),  # rear up, on its nose
    ],
)
def test_cheetah_on_one_leg_is_paid_its_speed_while_the_front_foot_is_up(joints, speed, value):
    _, observation = placed("HalfCheetah-v5", qvel={"rootx": speed}, **joints)
    assert reward("half_cheetah_one_leg", observation) == pytest.approx(value)


def test_cheetah_standing_on_both_legs_earns_next_to_nothing_and_on_the_front_one_less():
    both = reward("half_cheetah_one_leg", placed("HalfCheetah-v5", qvel={"rootx": 2})[1])
    front = reward("half_cheetah_one_leg", placed("HalfCheetah-v5", qvel={"rootx": 2}, **BACK_UP)[1])
    assert both == pytest.approx(2 * (0.21 - 0.213) / 0.2, abs=0.01)  # feet at 0.210 and 0.213 m
    assert front < both


@pytest.mark.parametrize(
    ("joints", "speed", "value"),
    [
        (LEFT_UP, 1.5, 2.5),
        (LEFT_UP, 0.0, 1.0),
        (LEFT_UP, -1.5, 1.0),
        (RIGHT_UP, 1.5, -2.5),
        ({}, 1.5, 0.0),  # both feet down
        ({**LEFT_UP, "rootz": 0.5}, 1.5, 0.0),  # fallen
    ],
)
def test_walker_is_paid_for_standing_on_the_right_leg_with_the_left_one_up(joints, speed, value):
    _, observation = placed("Walker2d-v5", qvel={"rootx": speed}, **joints)
    assert reward("walker_one_leg", observation) == pytest.approx(value)


def test_the_walkers_left_leg_is_the_violet_one():
    model = gymnasium.make("Walker2d-v5").unwrapped.model
    left, right = (model.geom(name).rgba for name in ("foot_left_geom", "foot_geom"))
    assert left[2] > left[1] and right[2] < right[1]
