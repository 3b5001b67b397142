"""Episodes are played again from what segments know of them, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest

from rlhf_gym.demonstrators import play_from
from rlhf_gym.envs import at_start, make_vec_env
from rlhf_gym.envs.beginnings import beginning, beginnings
from rlhf_gym.segments import Ending, Origin


def record(origin, steps=60):
    venv = make_vec_env(origin, n_envs=2, memory_steps=10_000, rng=np.random.default_rng(0))
    venv.action_space.seed(0)
    venv.reset()
    for _ in range(steps):
        venv.step(np.array([venv.action_space.sample() for _ in range(2)]))
    venv.close()
    return venv.trajectories()


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("observations", "actions"))


@pytest.mark.parametrize(
    "origin",
    [Origin("CartPole-v1", 0, {"max_episode_steps": 40}, 30), Origin("Pendulum-v1", 0), Origin("Hopper-v5", 0)],
)
def test_an_episode_is_played_again_up_to_the_segments_end(origin):
    episode = max(record(origin), key=len)
    again = beginning(episode.cut(3, 4))
    assert len(again) == 7 and again.ending is Ending.UNFINISHED and again.origin == episode.origin
    assert np.array_equal(again.observations, episode.observations[:8])
    assert np.array_equal(again.rewards.astype(np.float32), episode.rewards[:7])


def test_an_ending_is_reached_again():
    terminated = next(t for t in record(Origin("CartPole-v1", 0)) if t.terminated)
    assert beginning(terminated.cut(0, 500)).ending is Ending.TERMINATED
    truncated = record(Origin("Pendulum-v1", 0, {"max_episode_steps": 20}))[0]
    assert truncated.ending is Ending.TRUNCATED
    assert beginning(truncated.cut(15, 5)).ending is Ending.TRUNCATED
    assert beginning(truncated.cut(14, 5)).ending is Ending.UNFINISHED


def test_each_episode_comes_once_as_far_as_any_segment_reaches():
    one, two, *_ = [t for t in record(Origin("CartPole-v1", 0)) if len(t) > 9]
    found = beginnings([one.cut(4, 2), two.cut(0, 3), one.cut(6, 3), one.cut(0, 5)])
    assert [len(t) for t in found] == [9, 3]
    assert same(found[0], one.cut(0, 9)) and same(found[1], two.cut(0, 3))


def test_an_episode_gone_on_with_in_two_ways_is_two():
    (one, *_) = record(Origin("CartPole-v1", 0))
    with at_start(one.cut(2, 3)) as (env, observation):
        other = play_from(env, observation, lambda _: np.int64(1 - one.actions[2]), steps=3).cut(0, 3)
    corrected = replace(other, earlier_actions=one.actions[:2], origin=one.origin)
    found = beginnings([one.cut(2, 3), corrected])
    assert [t.actions.tolist() for t in found] == [
        one.actions[:5].tolist(),
        [*one.actions[:2].tolist(), *corrected.actions.tolist()],
    ]


def test_segments_without_an_origin_are_left_out_and_one_that_differs_is_refused():
    (one, *_) = record(Origin("CartPole-v1", 0))
    cut = one.cut(2, 3)
    assert beginnings([replace(cut, origin=None)]) == []
    with pytest.raises(ValueError, match=r"Segment\(.* has no origin to play it again from"):
        beginning(replace(cut, origin=None))
    with pytest.raises(ValueError, match=r"CartPole-v1 doesn't replay: the episode with seed \d+ differs .* at step 2"):
        beginning(replace(cut, observations=cut.observations + np.float32(0.1)))
