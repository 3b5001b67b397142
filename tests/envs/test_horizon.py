import re
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_sb3

from rlhf_gym.envs import FixedHorizon, make_env
from rlhf_gym.envs import horizon as module
from rlhf_gym.segments import Origin


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


# What HORIZON.md says of each task

PAGE = Path(module.__file__).with_name("HORIZON.md").read_text(encoding="utf-8")
TASKS = dict(re.findall(r"^\| ([\w-]+-v\d) \|(?:[^|]*\|){2} (freezes|goes on|only cuts) \|", PAGE, flags=re.MULTILINE))


def random_steps(env, n):
    env.action_space.seed(0)
    env.reset(seed=0)
    return [env.step(env.action_space.sample()) for _ in range(n)]


def test_the_page_has_every_task():
    assert len(TASKS) == 13 and {"Hopper-v5", "Reacher-v5", "CartPole-v1"} <= set(TASKS)


@pytest.mark.parametrize("env_id", [task for task, does in TASKS.items() if does == "only cuts"])
def test_a_task_of_which_the_page_says_that_it_never_ends_early_does_not(env_id):
    limit = gymnasium.spec(env_id).max_episode_steps
    steps = random_steps(make_env(Origin(env_id, 0)), limit)
    assert [truncated for *_, truncated, _ in steps] == [False] * (limit - 1) + [True]
    assert not any(terminated for _, _, terminated, _, _ in steps)


@pytest.mark.parametrize("env_id", [task for task, does in TASKS.items() if does == "goes on"])
def test_a_body_of_which_the_page_says_that_it_goes_on_leaves_its_healthy_range_and_goes_on(env_id):
    env = make_env(Origin(env_id, 0, fixed_horizon=300))
    env.action_space.seed(0)
    env.reset(seed=0)
    healthy, before = [], None
    for _ in range(300):
        observation, _, terminated, _, info = env.step(env.action_space.sample())
        healthy.append(env.unwrapped.is_healthy)
        assert not terminated and not info["failed"]
        assert not np.array_equal(observation, before)
        before = observation.copy()
    assert not all(healthy)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "InvertedPendulum-v5", "InvertedDoublePendulum-v5"])
def test_a_task_of_which_the_page_says_that_it_freezes_does(env_id):
    assert TASKS[env_id] == "freezes"
    observations = [step[0] for step in random_steps(make_env(Origin(env_id, 0, fixed_horizon=100)), 100)]
    assert all(np.array_equal(observation, observations[-1]) for observation in observations[70:])


def test_an_ant_ends_its_episode_by_leaping_and_stands_for_all_of_it_when_it_does_nothing():
    env = make_env(Origin("Ant-v5", 0))
    steps = [step for step in random_steps(env, 300) if step[2]]
    assert steps[0][0][0] > 1
    env.reset(seed=0)
    still = [env.step(np.zeros(8))[:4] for _ in range(1000)]
    assert not any(terminated for _, _, terminated, _ in still)
    assert sum(reward for _, reward, _, _ in still) == pytest.approx(995, abs=10)
