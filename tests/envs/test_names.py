"""Coordinates are called after what the simulator has there."""

import re

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium import spaces

from rlhf_gym.envs.names import action_names, observation_names

MUJOCO = (
    "Ant-v5", "HalfCheetah-v5", "Hopper-v5", "InvertedDoublePendulum-v5", "InvertedPendulum-v5", "Reacher-v5",
    "Swimmer-v5", "Walker2d-v5",
)  # fmt: skip
CLASSIC = ("Acrobot-v1", "CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1")


@pytest.mark.parametrize("env_id", [*MUJOCO, *CLASSIC])
def test_every_coordinate_has_a_name_of_its_own(env_id: str) -> None:
    env = gymnasium.make(env_id)
    observations, actions = observation_names(env), action_names(env)
    assert len(set(observations)) == len(observations) == spaces.flatdim(env.observation_space)
    assert len(set(actions)) == len(actions) == spaces.flatdim(env.action_space)  # one-hot where it is Discrete
    assert not any("[" in name for name in (*observations, *actions))


@pytest.mark.parametrize("env_id", MUJOCO)
def test_what_is_called_after_a_joint_is_where_or_how_fast_that_joint_is(env_id: str) -> None:
    env = gymnasium.make(env_id)
    observation = env.reset(seed=1)[0]
    data, hinges = env.unwrapped.data, 0
    for name, value in zip(observation_names(env), observation, strict=True):
        if not (found := re.fullmatch(r"(?:(sin|cos)\((\w+)\)|(\w+)( velocity)?)", name)):
            continue  # contact forces, and the body that flies freely
        function, turned, joint, velocity = found.groups()
        at = data.joint(turned or joint)
        expected = float(np.ravel(at.qvel if velocity else at.qpos)[0])
        assert value == pytest.approx(getattr(np, function)(expected) if function else expected)
        hinges += 1
    assert hinges >= 4


def test_a_body_that_flies_freely_has_place_quaternion_and_both_velocities() -> None:
    env = gymnasium.make("Ant-v5")
    observation = env.reset(seed=1)[0]
    names, data = observation_names(env), env.unwrapped.data
    assert names[0] == "root z" and observation[0] == data.qpos[2]
    assert observation[names.index("root quaternion w")] == data.qpos[3]
    assert observation[names.index("root velocity x")] == data.qvel[0]
    assert observation[names.index("root angular velocity z")] == data.qvel[5]


def test_contact_forces_are_called_after_their_bodies() -> None:
    env = gymnasium.make("Ant-v5")
    names, model = observation_names(env), env.unwrapped.model
    foot = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, "aux_1") + 1  # it has no name
    first = names.index("contact torso torque x")
    assert names.index("contact aux_1 force z") == first + 6 * (foot - 2) + 5
    assert names[first + 6 * (foot - 1)] == "contact below aux_1 torque x"


def test_names_follow_what_the_environment_is_told_to_show() -> None:
    env = gymnasium.make(
        "Ant-v5", exclude_current_positions_from_observation=False, include_cfrc_ext_in_observation=False
    )
    assert observation_names(env)[:3] == ["root x", "root y", "root z"] and len(observation_names(env)) == 29


def test_actions_are_called_after_the_joints_they_move() -> None:
    env = gymnasium.make("Ant-v5")
    assert action_names(env)[:2] == ["action hip_4", "action ankle_4"]
    assert action_names(gymnasium.make("CartPole-v1")) == ["left", "right"]


def test_an_environment_of_one_s_own_may_name_what_it_shows() -> None:
    env = gymnasium.make("CartPole-v1")
    env.unwrapped.observation_names = ["place", "speed", "angle", "spin"]
    env.unwrapped.action_names = ("push left", "push right")
    assert observation_names(env)[-1] == "spin" and action_names(env)[0] == "push left"
    env.unwrapped.observation_names = ["too", "few"]
    assert observation_names(env)[0] == "observation[0]"


def test_what_nobody_knows_is_numbered() -> None:
    env = gymnasium.wrappers.FrameStackObservation(gymnasium.make("CartPole-v1"), 2)
    assert observation_names(env) == [f"observation[{i}]" for i in range(8)]
    assert action_names(gymnasium.wrappers.RescaleAction(gymnasium.make("Pendulum-v1"), -1, 1)) == ["torque"]
