import json
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from stable_baselines3 import PPO

from rlhf_gym.envs import VecLearnedReward, make_vec_env
from rlhf_gym.segments import Ending, Origin

NAN, INF = float("nan"), float("inf")


class Scripted(gymnasium.Env):
    """Observes the number of the step twice and is paid it; ends, and spoils its numbers, as it is told."""

    observation_space = gymnasium.spaces.Box(-INF, INF, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, terminates_at=10**9, observations=None, rewards=None, from_episode=1):
        self.terminates_at, self.from_episode = terminates_at, from_episode
        self.observations, self.rewards = observations or {}, rewards or {}
        self.episode = 0

    def observation(self):
        spoiled = self.observations.get(self.t) if self.episode >= self.from_episode else None
        return np.array(spoiled or [self.t, self.t], np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.episode = 0, self.episode + 1
        return self.observation(), {}

    def step(self, action):
        self.t += 1
        reward = self.rewards.get(self.t, float(self.t))
        return self.observation(), reward, self.t >= self.terminates_at, False, {}


@pytest.fixture(autouse=True)
def registered():
    gymnasium.register("RecorderTest/Scripted-v0", entry_point=Scripted)
    yield
    del gymnasium.registry["RecorderTest/Scripted-v0"]


def recorder(env_id="RecorderTest/Scripted-v0", *, n_envs=1, memory_steps=10_000, seed=0, **env_kwargs):
    origin = Origin(env_id, 0, env_kwargs)
    return make_vec_env(origin, n_envs=n_envs, memory_steps=memory_steps, rng=np.random.default_rng(seed))


def run(venv, steps):
    """Step a scripted environment; returns the number of environments times steps."""
    for _ in range(steps):
        venv.step(np.zeros(venv.num_envs, np.int64))


def shapes(venv):
    return [(len(t), t.ending) for t in venv.trajectories()]


def contents(trajectories):
    """All that trajectories hold, in an order and form that `==` compares bit for bit."""
    return sorted(
        (t.origin.seed, t.ending.value, *((a.dtype.str, a.tolist()) for a in (t.observations, t.actions, t.rewards)))
        for t in trajectories
    )


def by_hand(env_id, actions, rng, **env_kwargs):
    """The same contents from one plain environment that is given `actions` and seeds out of `rng`."""
    env, episodes, ending, done = gymnasium.make(env_id, **env_kwargs), [], "unfinished", True
    for action in [*actions, None]:
        if done:
            seed = int(rng.integers(2**31))
            observations, taken, rewards, done, ending = [env.reset(seed=seed)[0]], [], [], False, "unfinished"
        if action is not None:
            observation, reward, terminated, truncated, _ = env.step(action)
            observations.append(observation)
            taken.append(action)
            rewards.append(reward)
            done = terminated or truncated
            ending = "terminated" if terminated else "truncated"
        if taken and (done or action is None):
            ending = ending if done else "unfinished"
            arrays = np.array(observations), np.array(taken), np.array(rewards, np.float32)
            episodes.append((seed, ending, *((a.dtype.str, a.tolist()) for a in arrays)))
    return episodes


# What is recorded


@pytest.mark.parametrize(
    ("env_id", "env_kwargs"),
    [
        ("CartPole-v1", {}),
        ("CartPole-v1", {"max_episode_steps": 12}),  # some fall over earlier, some are cut
        ("Pendulum-v1", {"max_episode_steps": 25, "g": 5.0}),
    ],
)
def test_trajectories_equal_those_collected_by_hand_from_single_environments(env_id, env_kwargs):
    venv = recorder(env_id, n_envs=3, **env_kwargs)
    venv.action_space.seed(0)
    actions = np.array([[venv.action_space.sample() for _ in range(3)] for _ in range(90)])
    venv.reset()
    for action in actions:
        venv.step(action)
    children = np.random.default_rng(0).spawn(3)
    expected = [
        episode for i in range(3) for episode in by_hand(env_id, list(actions[:, i]), children[i], **env_kwargs)
    ]
    assert contents(venv.trajectories()) == sorted(expected)
    assert sum(len(t) for t in venv.trajectories()) == venv.steps == 270
    assert venv.terminations == sum(episode[1] == "terminated" for episode in expected)


def test_what_is_returned_is_what_the_environments_gave():
    venv = recorder("CartPole-v1", n_envs=2)
    plain = recorder("CartPole-v1", n_envs=2).venv
    assert np.array_equal(venv.reset(), plain.reset())
    for _ in range(30):
        ours, theirs = venv.step(np.zeros(2, int)), plain.step(np.zeros(2, int))
        assert all(np.array_equal(a, b) for a, b in zip(ours[:3], theirs[:3], strict=True))
        assert [sorted(info) for info in ours[3]] == [sorted(info) for info in theirs[3]]


def test_endings_are_told_apart():
    venv = recorder(terminates_at=3)
    venv.reset()
    run(venv, 5)
    assert shapes(venv) == [(3, Ending.TERMINATED), (2, Ending.UNFINISHED)]
    venv = recorder(max_episode_steps=3)
    venv.reset()
    run(venv, 5)
    assert shapes(venv) == [(3, Ending.TRUNCATED), (2, Ending.UNFINISHED)]


def test_a_termination_in_the_very_step_of_the_time_limit_is_a_termination():
    venv = recorder(terminates_at=3, max_episode_steps=3)
    venv.reset()
    run(venv, 3)
    assert shapes(venv) == [(3, Ending.TERMINATED)]
    assert venv.terminations == 1


def test_the_last_observation_is_the_true_one_and_not_the_next_episodes_first():
    venv = recorder(terminates_at=3)
    venv.reset()
    run(venv, 7)
    assert [t.observations[:, 0].tolist() for t in venv.trajectories()] == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1]]


def test_an_episode_that_has_not_taken_a_step_is_no_trajectory():
    venv = recorder(terminates_at=3)
    venv.reset()
    assert venv.trajectories() == []
    run(venv, 3)
    assert len(venv.trajectories()) == 1


def test_reset_keeps_the_running_episodes_as_unfinished():
    venv = recorder(n_envs=2)
    venv.reset()
    run(venv, 4)
    before = contents(venv.trajectories())
    venv.reset()
    assert shapes(venv) == [(4, Ending.UNFINISHED)] * 2
    assert contents(venv.trajectories()) == before
    run(venv, 1)
    assert shapes(venv) == [(4, Ending.UNFINISHED)] * 2 + [(1, Ending.UNFINISHED)] * 2
    assert len({t.origin.seed for t in venv.trajectories()}) == 4
    assert venv.steps == 10


def test_trajectories_go_on_growing_without_changing_the_ones_already_seen():
    venv = recorder()
    venv.reset()
    run(venv, 2)
    (early,) = venv.trajectories()
    run(venv, 2)
    assert (len(early), early.rewards.tolist()) == (2, [1, 2])
    assert shapes(venv) == [(4, Ending.UNFINISHED)]


# Nobody outside changes the record


def test_arrays_that_the_caller_uses_again_do_not_change_the_record():
    venv = recorder()
    observations, actions = venv.reset(), np.zeros(1, np.int64)
    for step in range(4):
        observations += 50
        actions[:] = step % 2
        observations, rewards, _, _ = venv.step(actions)
        rewards += 50
    (trajectory,) = venv.trajectories()
    assert trajectory.observations[:4, 0].tolist() == [0, 1, 2, 3]
    assert trajectory.actions.tolist() == [0, 1, 0, 1]
    assert trajectory.rewards.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("wrap", [lambda venv: venv, VecLearnedReward], ids=["alone", "below VecLearnedReward"])
def test_the_value_that_ppo_adds_at_a_truncation_is_not_recorded(wrap):
    venv = recorder(max_episode_steps=8, n_envs=2)
    ppo = PPO("MlpPolicy", wrap(venv), n_steps=16, batch_size=32, n_epochs=1, gamma=0.9, seed=0, device="cpu")
    ppo.learn(32)
    paid = ppo.rollout_buffer.rewards
    truths = np.tile(np.arange(1, 9), 2)
    changed = np.flatnonzero((paid != truths[:, None]).all(axis=1))
    assert changed.tolist() == [7, 15]  # PPO did add to what it was given ...
    assert [t.rewards.tolist() for t in venv.trajectories()] == [list(range(1, 9))] * 4  # ... and not to ours


# Memory


def test_the_oldest_episodes_are_dropped_whole_once_the_others_hold_enough():
    # Episodes of 4 steps, memory for 10: three of them are needed to hold 10, a fourth is not.
    venv = recorder(terminates_at=4, memory_steps=10)
    venv.reset()
    seeds = []
    for _ in range(40):
        seeds.append(venv.venv.reset_infos[0]["episode_seed"])
        run(venv, 1)
    assert shapes(venv) == [(4, Ending.TERMINATED)] * 3
    assert [t.origin.seed for t in venv.trajectories()] == [seeds[28], seeds[32], seeds[36]]
    assert venv.terminations == 10  # the forgotten ones count


@pytest.mark.parametrize("memory_steps", [1, 4, 5, 8, 9])
def test_memory_holds_what_it_is_asked_to_and_less_than_an_episode_more(memory_steps):
    venv = recorder(terminates_at=4, memory_steps=memory_steps, n_envs=2)
    venv.reset()
    run(venv, 40)
    assert memory_steps <= sum(len(t) for t in venv.trajectories()) < memory_steps + 4


def test_the_running_episode_is_there_beyond_the_memory():
    venv = recorder(memory_steps=5)
    venv.reset()
    run(venv, 30)
    assert shapes(venv) == [(30, Ending.UNFINISHED)]


def test_the_log_of_steps_is_as_long_as_the_longest_running_episode_needs():
    venv = recorder("CartPole-v1", n_envs=3, memory_steps=100)
    venv.reset()
    run(venv, 600)
    assert venv._log._rewards.shape == (64, 3)  # CartPole falls over after some ten pushes to one side
    assert max(len(t) for t in venv.trajectories()) < 20
    assert sum(len(t) for t in venv.trajectories()) < 100 + 20 + 3 * 20


@pytest.mark.parametrize("memory_steps", [0, -1])
def test_no_memory_is_refused(memory_steps):
    with pytest.raises(ValueError, match=f"memory_steps is {memory_steps}; use at least 1"):
        recorder(memory_steps=memory_steps)


# Numbers that are none


def refusal(venv, steps=20):
    with pytest.raises(ValueError) as caught:
        venv.reset()
        run(venv, steps)
    return str(caught.value)


def first_seed():
    return int(np.random.default_rng(0).spawn(1)[0].integers(2**31))


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_an_observation_that_is_not_finite_is_refused_naming_the_step(bad):
    assert refusal(recorder(observations={3: [0.5, bad]})) == (
        f"observation of RecorderTest/Scripted-v0 holds {bad} after step 3 of the episode with seed {first_seed()}; "
        "expected finite numbers: mend the environment"
    )


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_reward_that_is_not_finite_is_refused_naming_the_step(bad):
    assert refusal(recorder(rewards={4: bad})).startswith(
        f"true reward of RecorderTest/Scripted-v0 holds {bad} after step 4 of the episode with seed {first_seed()}; "
    )


def test_infinities_of_both_signs_are_refused_in_the_same_words():
    assert "holds inf after step 2 of" in refusal(recorder(observations={2: [INF, -INF]}))
    assert "holds inf after step 2 of" in refusal(recorder(observations={2: [INF, 0]}, rewards={2: -INF}))


def test_the_last_observation_of_an_episode_is_looked_at_too():
    assert "holds nan after step 3 of" in refusal(recorder(terminates_at=3, observations={3: [NAN, 0]}))


def test_the_first_observation_of_every_episode_is_looked_at_too():
    assert f"after step 0 of the episode with seed {first_seed()};" in refusal(recorder(observations={0: [NAN, 0]}))
    rng = np.random.default_rng(0).spawn(1)[0]
    second, third = rng.integers(2**31, size=3)[1:]
    # The first episode is begun twice, to see whether its seed decides how.
    line = refusal(recorder(terminates_at=5, observations={0: [NAN, 0]}, from_episode=3), steps=5)
    assert f"after step 0 of the episode with seed {second};" in line
    line = refusal(recorder(terminates_at=5, observations={2: [NAN, 0]}, from_episode=4))
    assert f"after step 2 of the episode with seed {third};" in line


def test_large_finite_numbers_are_taken():
    venv = recorder(observations={1: [3e38, 3e38]}, max_episode_steps=4)
    venv.reset()
    run(venv, 4)
    assert shapes(venv) == [(4, Ending.TRUNCATED)]


# Running episodes of a run that is resumed


def played(steps):
    """A recorder that has made steps in three environments."""
    recorder = make_vec_env(Origin("CartPole-v1", 0), n_envs=3, memory_steps=100, rng=np.random.default_rng(0))
    recorder.reset()
    for action in np.random.default_rng(7).integers(2, size=(steps, 3)):
        recorder.step(action)
    return recorder


@pytest.mark.parametrize("steps", [0, 1, 40, 70])  # of 70, more than its first room has
def test_running_episodes_go_on_in_another_recorder(steps):
    one = played(steps)
    other = make_vec_env(Origin("CartPole-v1", 0), n_envs=3, memory_steps=100, rng=np.random.default_rng(9))
    counts = {"steps": one.steps, "terminations": one.terminations}
    same = other.restore(one.trajectories(), **counts, running=json.loads(json.dumps(one.running())))
    assert same.all() and np.array_equal(one.observations, other.observations)
    for action in np.random.default_rng(8).integers(2, size=(90, 3)):
        for here, there in zip(one.step(action)[:3], other.step(action)[:3], strict=True):
            np.testing.assert_array_equal(here, there)
    assert [t.origin for t in one.trajectories()] == [t.origin for t in other.trajectories()]
    for here, there in zip(one.trajectories(), other.trajectories(), strict=True):
        np.testing.assert_array_equal(here.observations, there.observations)
        np.testing.assert_array_equal(here.actions, there.actions)
        assert here.ending is there.ending
    assert (one.steps, one.terminations) == (other.steps, other.terminations)


def test_an_episode_that_comes_out_otherwise_stays_unfinished_and_another_begins():
    one = played(5)
    kept = one.trajectories()
    kept[1] = replace(kept[1], actions=1 - kept[1].actions)
    other = make_vec_env(Origin("CartPole-v1", 0), n_envs=3, memory_steps=100, rng=np.random.default_rng(9))
    same = other.restore(kept, steps=15, terminations=0, running=one.running())
    assert same.tolist() == [True, False, True]
    assert [len(t) for t in other.trajectories()] == [5, 5, 5]
    other.step(np.zeros(3, int))
    lengths = [(len(t), t.ending) for t in other.trajectories()]
    assert lengths == [(5, Ending.UNFINISHED), (6, Ending.UNFINISHED), (1, Ending.UNFINISHED), (6, Ending.UNFINISHED)]
