"""Replayed rewards are those of the reward function in force, by hand-computed numbers."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

from rlhf_gym.agents import RelabelledReplay
from rlhf_gym.envs import VecLearnedReward
from rlhf_gym.segments import Array

STATES = spaces.Box(-10, 10, (1,), np.float32)
FORCES = spaces.Box(np.array([0, -4], np.float32), np.array([2, 4], np.float32))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def column(*values: float) -> Array:
    return np.array(values, np.float32).reshape(-1, 1)


def filled(actions: spaces.Space[Any], stored: Array, *, n_envs: int = 1, **settings: Any) -> RelabelledReplay:
    """States 0, 1, 2, ... step by step, each leading to 10 more; stored reward 0.5."""
    buffer = RelabelledReplay(8, STATES, actions, device="cpu", n_envs=n_envs, **settings)
    for t in range(len(stored) // n_envs):
        rows = slice(t * n_envs, (t + 1) * n_envs)
        states = column(*range(t * n_envs, (t + 1) * n_envs))
        infos: list[dict[str, Any]] = [{} for _ in range(n_envs)]
        zeros = np.zeros(n_envs)
        buffer.add(states, states + 10, stored[rows], zeros + 0.5, zeros, infos)
    return buffer


def samples(buffer: RelabelledReplay, n: int = 200) -> list[tuple[float, ...]]:
    """(state, reward) of sampled transitions, each once."""
    sampled = buffer.sample(n)
    return sorted(set(zip(sampled.observations[:, 0].tolist(), sampled.rewards[:, 0].tolist(), strict=True)))


def test_without_a_reward_function_rewards_stay_as_they_were_stored() -> None:
    assert samples(filled(FORCES, np.zeros((2, 2)))) == [(0, 0.5), (1, 0.5)]


def test_actions_of_a_box_are_paid_as_the_environment_took_them() -> None:
    # Stored -1, 0.5 of [0, 2] x [-4, 4] are 0 and 2; stored 0, -0.25 are 1 and -1.
    buffer = filled(FORCES, np.array([[-1, 0.5], [0, -0.25]]))
    buffer.reward_function = lambda obs, act, next_obs, terminated: 100 * act[:, 0] + act[:, 1]
    assert samples(buffer) == [(0, 2), (1, 99)]


def test_all_of_a_transition_is_given_to_the_reward_function() -> None:
    given: list[tuple[Array, ...]] = []

    def reward(*step: Array) -> Array:
        given.append(step)
        return np.zeros(len(step[0]))

    filled(FORCES, np.zeros((3, 2)), reward_function=reward).sample(5)
    [(observations, actions, next_observations, terminated)] = given
    assert (observations.shape, actions.shape, next_observations.shape) == ((5, 1), (5, 2), (5, 1))
    assert (terminated.shape, terminated.dtype) == ((5,), np.bool_)
    np.testing.assert_array_equal(next_observations, observations + 10)


def test_discrete_actions_come_without_the_axis_they_are_stored_with() -> None:
    buffer = filled(spaces.Discrete(3), np.array([2, 0]))
    buffer.reward_function = lambda obs, act, *_: np.array([-1.0, 0.0, 7.0])[act]
    assert samples(buffer) == [(0, 7), (1, -1)]


def test_several_environments_are_paid_each_for_its_own() -> None:
    buffer = filled(spaces.Discrete(5), np.arange(4), n_envs=2, reward_function=lambda obs, act, *_: obs[:, 0] + act)
    assert samples(buffer) == [(0, 0), (1, 2), (2, 4), (3, 6)]


def test_a_time_limit_is_no_termination() -> None:
    buffer = filled(FORCES, np.zeros((1, 2)), reward_function=lambda obs, act, next_obs, terminated: 1.0 * terminated)
    for state, done, cut in ((1, True, False), (2, True, True)):
        buffer.add(column(state), column(9), np.zeros((1, 2)), np.zeros(1), np.array([done]),
                   [{"TimeLimit.truncated": cut}])  # fmt: skip
    assert samples(buffer) == [(0, 0), (1, 1), (2, 0)]


def test_another_reward_function_is_paid_from_the_next_sample_on() -> None:
    buffer = filled(FORCES, np.zeros((2, 2)), reward_function=lambda obs, *_: obs[:, 0])
    assert samples(buffer) == [(0, 0), (1, 1)]
    buffer.reward_function = lambda obs, *_: -3 * obs[:, 0]
    assert samples(buffer) == [(0, 0), (1, -3)]
    buffer.reward_function = None
    assert samples(buffer) == [(0, 0.5), (1, 0.5)]


def test_the_same_transitions_are_sampled_as_by_sb3s_own_buffer() -> None:
    ours = filled(FORCES, np.random.default_rng(0).uniform(-1, 1, (8, 2)), n_envs=2)
    plain = ReplayBuffer(8, STATES, FORCES, device="cpu", n_envs=2)
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "pos", "full"):
        setattr(plain, name, getattr(ours, name))
    sampled = []
    for buffer in (ours, plain):
        np.random.seed(3)  # noqa: NPY002  SB3 draws from it
        sampled.append(buffer.sample(20))
    for name in ("observations", "actions", "next_observations", "dones", "rewards"):
        assert torch.equal(getattr(sampled[0], name), getattr(sampled[1], name))


def test_a_normalising_wrapper_normalises_after_the_reward_is_paid() -> None:
    buffer = filled(FORCES, np.zeros((2, 2)), reward_function=lambda obs, *_: obs[:, 0])
    normalising = VecNormalize(DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")]))
    normalising.normalize_obs = lambda obs: obs / 2  # type: ignore[method-assign, operator]
    normalising.ret_rms.var = np.array(4.0)  # rewards are divided by 2
    sampled = buffer.sample(50, env=normalising)
    np.testing.assert_allclose(sampled.rewards, sampled.observations, rtol=1e-5)
    assert set(sampled.observations.flatten().tolist()) == {0, 0.5}
    np.testing.assert_allclose(sampled.next_observations, sampled.observations + 5)


def test_a_buffer_that_takes_time_limits_for_terminations_is_refused() -> None:
    with pytest.raises(ValueError, match="handle_timeout_termination is False, so that a time limit looks like"):
        RelabelledReplay(8, STATES, FORCES, handle_timeout_termination=False)


# In a loop of one's own, with unmodified SB3


@pytest.fixture(params=["Pendulum-v1", "CartPole-v1"])
def venv(request: pytest.FixtureRequest) -> Iterator[VecEnv]:
    made = DummyVecEnv([lambda: gymnasium.make(request.param, max_episode_steps=30)] * 2)
    yield made
    made.close()


def test_sb3_alone_learns_from_the_reward_in_force(venv: VecEnv) -> None:
    paid: list[tuple[Array, ...]] = []

    def first(observations: Array, actions: Array, next_observations: Array, terminated: Array) -> Array:
        return np.asarray(observations[:, 0] + actions.reshape(len(actions), -1)[:, 0] + 2 * terminated, np.float32)

    def record(*step: Array) -> Array:
        paid.append(tuple(map(np.array, step)))
        return first(*step)

    sb3_class: Any = SAC if isinstance(venv.action_space, spaces.Box) else DQN
    sb3 = sb3_class("MlpPolicy", VecLearnedReward(venv, record), replay_buffer_class=RelabelledReplay,
                    replay_buffer_kwargs={"reward_function": first}, device="cpu", buffer_size=1000)  # fmt: skip
    sb3.learn(160)
    buffer: RelabelledReplay = sb3.replay_buffer
    # What was paid when it happened is what it is paid when sampled: same actions, same terminations.
    inds = np.repeat(np.arange(buffer.size()), 5)
    sampled, stored = buffer._get_samples(inds), {}
    for step in paid:
        for i in range(2):
            row = tuple(part[i : i + 1] for part in step)
            stored[row[0].tobytes()] = float(first(*row)[0])
    expected = [stored[row.numpy().tobytes()] for row in sampled.observations]
    np.testing.assert_allclose(sampled.rewards[:, 0], expected, rtol=1e-6, atol=1e-6)
    buffer.reward_function = lambda obs, *_: np.full(len(obs), 4.0)
    sb3.learn(16, reset_num_timesteps=False)
    assert set(buffer.sample(100).rewards.flatten().tolist()) == {4.0}
