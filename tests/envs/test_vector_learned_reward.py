"""The learned reward under Gymnasium's own vectorised environments, in each autoreset mode."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from rlhf_gym.envs import LearnedReward, VectorLearnedReward
from tests.envs.test_learned_reward import everything

MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]
TASKS = {
    "CartPole": ("CartPole-v1", {}),
    "CartPole cut short": ("CartPole-v1", {"max_episode_steps": 6}),
    "Pendulum cut short": ("Pendulum-v1", {"max_episode_steps": 9}),
}


class Counter(gymnasium.Env):
    """Observes an episode's number and the step in it; ends after as many steps as its number; pays the step."""

    observation_space = gymnasium.spaces.Box(0, 99, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, first):
        self.episode = first - 1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.now = self.episode + 1, 0
        return self._seen(), {}

    def step(self, action):
        self.now += 1
        ended = self.now == self.episode
        return self._seen(), float(self.now), ended and action == 0, ended and action == 1, {}

    def _seen(self):
        return np.array([self.episode, self.now], np.float32)


def change(observations, actions, next_observations, terminated):
    """Which episode and steps a transition belongs to, in decimal places, and how it ended."""
    places = observations @ [1000, 10] + next_observations @ [100, 1]
    return places * np.where(terminated, -1, 1)


def counters(mode, **settings):
    return VectorLearnedReward(
        SyncVectorEnv([lambda: Counter(1), lambda: Counter(3)], autoreset_mode=mode, **settings), change
    )


ACTIONS = np.array([0, 1])  # the first terminates, the second is truncated


@pytest.mark.parametrize("copy", [True, False])
def test_next_step_pays_0_where_an_episode_is_only_reset(copy):
    envs = counters(AutoresetMode.NEXT_STEP, copy=copy)
    envs.reset(seed=0)
    steps = [envs.step(ACTIONS) for _ in range(5)]
    # Episode 1 has one step, 2 two, 3 three: 1000 * 1 + 10 * 0 + 100 * 1 + 1 * 1 = 1101, ended by a termination.
    assert [step[1].tolist() for step in steps] == [
        [-1101, 3301],
        [0, 3312],
        [2201, 3323],
        [-2212, 0],
        [0, 4401],
    ]
    assert [step[4]["true_reward"].tolist() for step in steps] == [[1, 1], [0, 2], [1, 3], [2, 0], [0, 1]]
    assert [step[4]["_true_reward"].tolist() for step in steps[:3]] == [[True, True], [False, True], [True, True]]
    assert steps[0][1].dtype == np.float64


@pytest.mark.parametrize("copy", [True, False])
def test_same_step_pays_for_the_true_last_observation(copy):
    envs = counters(AutoresetMode.SAME_STEP, copy=copy)
    envs.reset(seed=0)
    steps = [envs.step(ACTIONS)]
    assert steps[0][0].tolist() == [[2, 0], [3, 1]]  # the next episode's first observation is what is returned
    steps += [envs.step(ACTIONS) for _ in range(3)]
    assert [step[1].tolist() for step in steps] == [[-1101, 3301], [2201, 3312], [-2212, 3323], [3301, 4401]]
    assert [step[4]["true_reward"].tolist() for step in steps] == [[1, 1], [1, 2], [2, 3], [1, 1]]
    assert all(step[4]["_true_reward"].all() for step in steps)


def test_without_autoreset_those_of_the_mask_start_again():
    envs = counters(AutoresetMode.DISABLED)
    envs.reset(seed=0)
    rewards = []
    for _ in range(4):
        _, paid, terminated, truncated, infos = envs.step(ACTIONS)
        rewards.append(paid.tolist())
        if (done := terminated | truncated).any():
            envs.reset(options={"reset_mask": done})
    assert rewards == [[-1101, 3301], [2201, 3312], [-2212, 3323], [3301, 4401]]
    assert infos["true_reward"].tolist() == [1, 1]


def test_a_reset_in_between_starts_all_episodes_anew():
    envs = counters(AutoresetMode.NEXT_STEP)
    envs.reset(seed=0)
    envs.step(ACTIONS)  # the first has ended, and would only be reset
    envs.reset()
    assert envs.step(ACTIONS)[1].tolist() == [2201, 4401]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("env_id", "settings"), TASKS.values(), ids=TASKS)
def test_every_environment_is_paid_exactly_as_it_is_alone(env_id, settings, mode):
    def make():
        return gymnasium.make(env_id, **settings)

    envs = VectorLearnedReward(SyncVectorEnv([make] * 3, autoreset_mode=mode), everything)
    alone = [LearnedReward(make(), everything) for _ in range(3)]
    envs.reset(seed=5)
    for i, env in enumerate(alone):
        env.reset(seed=5 + i)
    envs.action_space.seed(0)
    done, ended = np.zeros(3, bool), 0
    for _ in range(80):
        actions = envs.action_space.sample()
        _, rewards, terminated, truncated, infos = envs.step(actions)
        for i, env in enumerate(alone):
            if mode is AutoresetMode.NEXT_STEP and done[i]:
                env.reset()
                assert (rewards[i], infos["_true_reward"][i]) == (0, False)
                continue
            _, reward, *ends, info = env.step(actions[i])
            assert (rewards[i], [terminated[i], truncated[i]]) == (reward, ends)
            assert infos["true_reward"][i] == info["true_reward"]
            if any(ends) and mode is not AutoresetMode.NEXT_STEP:
                env.reset()
        done = terminated | truncated
        ended += done.sum()
        if mode is AutoresetMode.DISABLED and done.any():
            envs.reset(options={"reset_mask": done})
    assert ended >= 6


def test_environments_in_processes_of_their_own_are_paid_alike():
    how = {"sync": {}, "async": {"context": "spawn"}}  # JAX, where another test has loaded it, warns of forks
    made = [gymnasium.make_vec("CartPole-v1", 2, vectorization_mode=mode, vector_kwargs=how[mode]) for mode in how]
    assert isinstance(made[1].unwrapped, AsyncVectorEnv)
    paid = []
    for envs in (VectorLearnedReward(each, everything) for each in made):
        envs.reset(seed=0)
        envs.action_space.seed(0)
        paid.append([envs.step(envs.action_space.sample())[1].tolist() for _ in range(40)])
        envs.close()
    assert paid[0] == paid[1]


def test_the_function_is_called_once_a_step_for_all_environments():
    calls = []

    def watch(*arrays):
        calls.append([(array.shape, array.dtype.kind) for array in arrays])
        return np.zeros(len(arrays[0]), np.float32)

    envs = VectorLearnedReward(gymnasium.make_vec("CartPole-v1", 3, vectorization_mode="sync"), watch)
    envs.reset(seed=0)
    for _ in range(25):
        envs.step(np.zeros(3, np.int64))
    assert calls == [[((3, 4), "f"), ((3,), "i"), ((3, 4), "f"), ((3,), "b")]] * 25
