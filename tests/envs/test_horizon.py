import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

from rlhf_gym.envs import FixedHorizon


class Buffer(gymnasium.Env):
    """Observes the number of the step, in one array that it hands out again and again; fails at the third."""

    observation_space = gymnasium.spaces.Box(0, 100, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation = np.zeros(1, np.float32)
        return self.observation, {}

    def step(self, action):
        self.observation += 1
        return self.observation, 5.0, bool(self.observation[0] == 3), False, {}


def play(env, *, seed=0):
    """One episode of always pushing left."""
    steps, truncated = [], False
    env.reset(seed=seed)
    while not truncated:
        steps.append(env.step(0))
        truncated = steps[-1][3]
    return steps


def test_every_episode_is_truncated_exactly_at_the_horizon_and_never_terminates():
    env = FixedHorizon(gymnasium.make("CartPole-v1"), 50)
    for seed in range(5):
        steps = play(env, seed=seed)
        assert len(steps) == 50
        assert not any(terminated for _, _, terminated, _, _ in steps)


def test_after_a_failure_the_observation_freezes_and_each_step_pays_the_absorbing_reward():
    # Seen from an episode of the plain environment, which falls over after some ten pushes to the left.
    plain = gymnasium.make("CartPole-v1")
    plain.reset(seed=0)
    lived = [plain.step(0)]
    while not lived[-1][2]:
        lived.append(plain.step(0))
    n = len(lived)
    steps = play(FixedHorizon(gymnasium.make("CartPole-v1"), 50, absorbing_reward=-0.5))
    assert [reward for _, reward, *_ in steps] == [1.0] * n + [-0.5] * (50 - n)
    for step, (observation, *_) in enumerate(steps):
        assert np.array_equal(observation, lived[min(step, n - 1)][0])
        assert plain.observation_space.contains(observation)
    assert [info["failed"] for *_, info in steps] == [False] * (n - 1) + [True] * (51 - n)


def test_the_absorbing_state_pays_nothing_unless_told_to():
    assert sum(reward for _, reward, *_ in play(FixedHorizon(Buffer(), 20))) == 15  # three steps of 5


def test_the_next_episode_starts_afresh():
    env = FixedHorizon(Buffer(), 4)
    for _ in range(2):
        assert [observation[0] for observation, *_ in play(env)][2:] == [3, 3]
    env.reset()
    assert [env.step(0)[1] for _ in range(4)] == [5, 5, 5, 0]


def test_changing_what_was_returned_does_not_change_the_frozen_observation():
    env = FixedHorizon(Buffer(), 6)
    env.reset()
    for step in range(6):
        observation = env.step(0)[0]
        assert observation[0] == min(step + 1, 3)
        if step >= 2:
            observation += 40


def test_observations_may_be_plain_numbers():
    class Number(gymnasium.ObservationWrapper):
        def observation(self, observation):
            return int(observation[0])

    assert [observation for observation, *_ in play(FixedHorizon(Number(Buffer()), 5))] == [1, 2, 3, 3, 3]


def test_an_environment_that_never_terminates_is_only_cut():
    env = FixedHorizon(gymnasium.make("Pendulum-v1"), 8)
    env.reset(seed=0)
    torque = np.zeros(1, np.float32)
    plain = gymnasium.make("Pendulum-v1")
    plain.reset(seed=0)
    for step in range(1, 9):
        (observation, reward, terminated, truncated, info), (expected, paid, *_) = env.step(torque), plain.step(torque)
        assert np.array_equal(observation, expected)
        assert (reward, terminated, truncated, info["failed"]) == (paid, False, step == 8, False)


@pytest.mark.parametrize("horizon", [0, -3])
def test_a_horizon_that_is_not_positive_is_refused(horizon):
    with pytest.raises(ValueError, match=f"env.fixed_horizon is {horizon}; use 1 to 500, where the episode ends"):
        FixedHorizon(gymnasium.make("CartPole-v1"), horizon)


def test_a_horizon_beyond_the_limit_of_the_environment_is_refused():
    with pytest.raises(ValueError, match="env.fixed_horizon is 501; use 1 to 500, where the episode ends"):
        FixedHorizon(gymnasium.make("CartPole-v1"), 501)
    assert len(play(FixedHorizon(gymnasium.make("CartPole-v1"), 500))) == 500
    with pytest.raises(ValueError, match="env.fixed_horizon is 21; use 1 to 20"):
        FixedHorizon(gymnasium.make("CartPole-v1", max_episode_steps=20), 21)


def test_an_environment_without_a_limit_takes_any_horizon():
    assert len(play(FixedHorizon(Buffer(), 3000))) == 3000


# The first warning is about every wrapper; the others are about CartPole's own observations (velocities have no bound)
# and Pendulum's own actions (-2 to 2), which a wrapper must pass on as they are.
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version:UserWarning")
@pytest.mark.filterwarnings("ignore:.*A Box observation space (min|max)imum value is -?infinity:UserWarning")
@pytest.mark.filterwarnings("ignore:.*e recommend (you to use|using) a symmetric and normalized:UserWarning")
@pytest.mark.parametrize("check", [check_env, check_env_sb3], ids=["gymnasium", "stable-baselines3"])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_environment_checkers_pass(env_id, check, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # all render modes are tried, the window too
    check(FixedHorizon(gymnasium.make(env_id, disable_env_checker=True), 50))
