import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_env_sb3
from stable_baselines3.common.monitor import Monitor

from rlhf_gym.envs import LearnedReward, VecLearnedReward, make_vec_env
from rlhf_gym.segments import Origin

# Environments with discrete and continuous actions, with terminations, and with truncations long before them.
CASES = {
    "CartPole": Origin("CartPole-v1", 0),
    "CartPole cut short": Origin("CartPole-v1", 0, {"max_episode_steps": 6}),
    "Pendulum cut short": Origin("Pendulum-v1", 0, {"max_episode_steps": 9}),
}


def everything(observations, actions, next_observations, terminated):
    """Another number for every transition that differs in anything."""
    actions = actions.reshape(len(actions), -1).sum(axis=1)
    return observations[:, 0] + 10 * next_observations[:, 1] + 100 * actions + 1000 * terminated


def single(origin):
    return gymnasium.make(origin.env_id, **origin.env_kwargs)


def several(origin, reward_function=None, *, n_envs=2, seed=0):
    venv = make_vec_env(origin, n_envs=n_envs, memory_steps=1000, rng=np.random.default_rng(seed))
    return VecLearnedReward(venv, reward_function)


def sampled_actions(origin, *shape):
    space = single(origin).action_space
    space.seed(0)
    return np.array([space.sample() for _ in range(int(np.prod(shape)))]).reshape(*shape, *space.shape)


# One environment


@pytest.mark.parametrize("origin", CASES.values(), ids=CASES)
def test_the_function_is_paid_on_the_very_transitions_in_last_steps_too(origin):
    paid, plain = LearnedReward(single(origin), everything), single(origin)
    done, seed, lasts = True, 0, 0
    for action in sampled_actions(origin, 120):
        if done:
            seed += 1
            observation, _ = paid.reset(seed=seed)
            before, _ = plain.reset(seed=seed)
            assert np.array_equal(observation, before)
        after, true_reward, terminated, truncated, _ = plain.step(action)
        observation, reward, *ended, info = paid.step(action)
        assert np.array_equal(observation, after)
        assert ended == [terminated, truncated]
        assert reward == pytest.approx(before[0] + 10 * after[1] + 100 * action.sum() + 1000 * terminated, rel=1e-6)
        assert info["true_reward"] == true_reward
        before, done = after, terminated or truncated
        lasts += done
    assert lasts >= 3


def test_the_function_sees_a_batch_of_one():
    seen = []

    def watch(*arrays):
        seen.append([(array.shape, array.dtype.kind) for array in arrays])
        return np.zeros(1)

    for env_id in ("CartPole-v1", "Pendulum-v1"):
        env = LearnedReward(gymnasium.make(env_id), watch)
        env.reset(seed=0)
        env.action_space.seed(0)
        env.step(env.action_space.sample())
    assert seen == [
        [((1, 4), "f"), ((1,), "i"), ((1, 4), "f"), ((1,), "b")],
        [((1, 3), "f"), ((1, 1), "f"), ((1, 3), "f"), ((1,), "b")],
    ]


def test_a_monitor_below_goes_on_reporting_the_true_return():
    env = LearnedReward(Monitor(gymnasium.make("CartPole-v1")), lambda *_: np.full(1, -7.0))
    env.reset(seed=0)
    rewards, info = [], {}
    while "episode" not in info:
        _, reward, _, _, info = env.step(0)
        rewards.append(reward)
    assert set(rewards) == {-7.0}
    assert info["episode"]["r"] == info["episode"]["l"] == len(rewards)  # CartPole pays 1 a step


# The first warning is about every wrapper; the others are about CartPole's own observations (velocities have no bound)
# and Pendulum's own actions (-2 to 2), which a wrapper must pass on as they are.
@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version:UserWarning")
@pytest.mark.filterwarnings("ignore:.*A Box observation space (min|max)imum value is -?infinity:UserWarning")
@pytest.mark.filterwarnings("ignore:.*e recommend (you to use|using) a symmetric and normalized:UserWarning")
@pytest.mark.parametrize("check", [check_env, check_env_sb3], ids=["gymnasium", "stable-baselines3"])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_environment_checkers_pass(env_id, check, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # all render modes are tried, the window too
    check(LearnedReward(gymnasium.make(env_id, disable_env_checker=True), everything))


# Many environments


@pytest.mark.parametrize("origin", CASES.values(), ids=CASES)
def test_many_environments_are_paid_as_each_alone(origin):
    actions = sampled_actions(origin, 60, 3)
    venv = several(origin, everything, n_envs=3)
    venv.reset()
    together = [venv.step(action) for action in actions]
    for i, rng in enumerate(np.random.default_rng(0).spawn(3)):
        env, done = LearnedReward(single(origin), everything), True
        for action, (_, rewards, dones, infos) in zip(actions[:, i], together, strict=True):
            if done:
                env.reset(seed=int(rng.integers(2**31)))
            _, reward, terminated, truncated, info = env.step(action)
            done = terminated or truncated
            assert (rewards[i], dones[i]) == (reward, done)
            assert infos[i]["true_reward"] == np.float32(info["true_reward"])  # SB3 keeps rewards as float32


def test_the_function_is_called_once_a_step_for_all_environments():
    calls = []

    def watch(*arrays):
        calls.append([array.shape for array in arrays])
        return np.zeros(len(arrays[0]))

    venv = several(CASES["CartPole"], watch, n_envs=3)
    venv.reset()
    for _ in range(25):
        venv.step(np.zeros(3, np.int64))
    assert calls == [[(3, 4), (3,), (3, 4), (3,)]] * 25


@pytest.mark.parametrize(("limit", "ended_for_good"), [(500, True), (6, False)])
def test_the_last_transition_leads_to_the_true_last_observation(limit, ended_for_good):
    transitions = []

    def watch(observations, actions, next_observations, terminated):
        transitions.append((observations[0].copy(), next_observations[0].copy(), bool(terminated[0])))
        return np.zeros(1)

    venv = several(Origin("CartPole-v1", 0, {"max_episode_steps": limit}), watch, n_envs=1)
    venv.reset()
    done = False
    while not done:
        observations, _, (done,), (info,) = venv.step(np.zeros(1, np.int64))
    before, after, terminated = transitions[-1]
    assert np.array_equal(after, info["terminal_observation"])
    assert not np.array_equal(after, observations[0])  # that is the next episode's first
    assert terminated is ended_for_good  # a truncation is no termination
    assert not any(earlier for *_, earlier in transitions[:-1])
    # And the next transition starts where the next episode does.
    venv.step(np.zeros(1, np.int64))
    assert np.array_equal(transitions[-1][0], observations[0])


def test_episode_returns_reported_by_the_monitor_stay_true():
    venv = several(CASES["Pendulum cut short"], lambda observations, *_: np.full(len(observations), 5.0))
    venv.reset()
    true_returns = np.zeros(2)
    for _ in range(9):
        _, rewards, dones, infos = venv.step(np.ones((2, 1), np.float32))
        assert rewards.tolist() == [5, 5]
        true_returns += [info["true_reward"] for info in infos]
    assert dones.all()
    assert [info["episode"]["r"] for info in infos] == pytest.approx(true_returns, abs=1e-5)
    assert (true_returns < 0).all()  # Pendulum pays nothing but costs


def test_finished_episodes_are_handed_out_once_with_both_returns():
    venv = several(CASES["CartPole cut short"], lambda observations, *_: np.full(len(observations), -0.5))
    venv.reset()
    for _ in range(6):
        assert venv.pop_episodes() == []
        venv.step(np.zeros(2, np.int64))
    # Six steps that truly pay 1, and are paid -0.5.
    assert venv.pop_episodes() == [(6.0, -3.0, 6)] * 2
    assert venv.pop_episodes() == []
    for _ in range(12):
        venv.step(np.zeros(2, np.int64))
    assert venv.pop_episodes() == [(6.0, -3.0, 6)] * 4


def test_without_a_function_the_true_reward_is_paid():
    venv = several(CASES["Pendulum cut short"])
    venv.reset()
    for _ in range(20):
        _, rewards, _, infos = venv.step(np.ones((2, 1), np.float32))
        assert rewards.tolist() == [info["true_reward"] for info in infos]


def test_the_function_may_be_replaced_between_steps():
    venv = several(CASES["CartPole"], lambda observations, *_: np.full(len(observations), 3.0))
    venv.reset()
    assert venv.step(np.zeros(2, np.int64))[1].tolist() == [3, 3]
    venv.reward_function = lambda observations, *_: np.full(len(observations), 4.0)
    assert venv.step(np.zeros(2, np.int64))[1].tolist() == [4, 4]


def test_a_function_that_gives_another_shape_is_refused():
    venv = several(CASES["CartPole"], lambda observations, *_: np.zeros((len(observations), 1)))
    venv.reset()
    with pytest.raises(ValueError, match=r"the reward function returned shape \(2, 1\) for 2 steps; .* shape \(2,\)"):
        venv.step(np.zeros(2, np.int64))


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_function_that_gives_no_finite_number_is_refused_by_the_environment(wrong):
    venv = several(CASES["CartPole"], lambda *_: np.array([1.0, wrong]))
    venv.reset()
    with pytest.raises(ValueError, match=f"the reward function returned {wrong} for a step in environment 1; expected"):
        venv.step(np.zeros(2, np.int64))


class Numbered(gymnasium.Wrapper):
    """Tells in every step which episode it is, where SB3 expects figures of a finished one."""

    def step(self, action):
        *step, info = self.env.step(action)
        return *step, {**info, "episode": 12}


def test_an_environments_own_episode_is_not_taken_for_the_figures_of_a_finished_one():
    name = "LearnedRewardTest/Numbered-v0"
    gymnasium.register(name, lambda: Numbered(gymnasium.make("CartPole-v1")), max_episode_steps=6)
    venv = several(Origin(name, 0), lambda observations, *_: np.ones(len(observations)))
    venv.reset()
    told = [venv.step(np.zeros(2, np.int64))[-1] for _ in range(6)]
    del gymnasium.registry[name]
    assert [["episode" in info for info in infos] for infos in told] == [[False] * 2] * 5 + [[True] * 2]
    assert told[-1][0]["episode"] == {"r": 6.0, "l": 6}


def test_ppo_does_not_change_an_array_that_the_function_keeps():
    kept = np.ones(2)
    venv = several(CASES["CartPole cut short"], lambda *_: kept)
    ppo = PPO("MlpPolicy", venv, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu").learn(32)
    assert (ppo.rollout_buffer.rewards != 1).any()  # SB3 added the value of the state at truncations
    assert kept.tolist() == [1, 1]


def test_whole_numbers_are_paid_as_fractions_so_that_ppo_can_add_to_them():
    venv = several(CASES["CartPole"], lambda observations, *_: np.ones(len(observations), np.int64))
    venv.reset()
    rewards = venv.step(np.zeros(2, np.int64))[1]
    rewards += 0.5
    assert rewards.tolist() == [1.5, 1.5]
