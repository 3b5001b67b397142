"""A policy that plays shows what it does, so that it can be replayed, and corrects from where a segment starts."""

from dataclasses import replace

import numpy as np
import pytest

from rlhf_gym.demonstrators import playing
from rlhf_gym.envs import make_vec_env, replay
from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Preference, Query, Shown, content
from rlhf_gym.segments import Origin

CARTPOLE = Origin("CartPole-v1", 0)


def balance(observation):
    """Hold the pole for the whole episode."""
    return np.int64(observation[2] + 0.5 * observation[3] > 0)


def always_left(observation):
    return np.int64(0)


def swing(observation):
    return np.clip(observation[2:] / 4, -2, 2)


def queried(origin, *, kind, length=25, options=1, steps=120):
    """Queries about random actions, a start in the middle of an episode included."""
    venv = make_vec_env(origin, n_envs=2, memory_steps=10_000, rng=np.random.default_rng(0))
    venv.action_space.seed(0)
    venv.reset()
    for _ in range(steps):
        venv.step(np.array([venv.action_space.sample() for _ in range(2)]))
    venv.close()
    episodes = [episode for episode in venv.trajectories() if len(episode) > 5]
    cuts = [episode.cut(start, length) for episode in episodes for start in (0, 4)]
    return [
        Query(tuple(cuts[i : i + options]), id=str(i), kind=kind) for i in range(0, len(cuts) - options + 1, options)
    ]


def bits(segments):
    return [content(segment) for segment in segments]


# Demonstrations


def test_each_demonstration_is_a_window_of_a_new_episode_that_replays():
    shows = playing(balance, CARTPOLE, rng=np.random.default_rng(0))
    (query, *_) = queried(CARTPOLE, kind="demonstration", options=3)
    made = [shows(query) for _ in range(12)]
    assert len({segment.origin.seed for segment in made}) == 12
    assert len({segment.start for segment in made}) > 8 and max(segment.start for segment in made) > 200
    for segment in made:
        assert (segment.length, segment.lived) == (25, 25)
        assert segment.actions.tolist() == [balance(o) for o in segment.observations[:-1]]
        replay(segment, draw=False)


def test_it_is_of_the_dtypes_that_a_run_records():
    for origin, act in ((CARTPOLE, balance), (Origin("Pendulum-v1", 0), swing), (Origin("Hopper-v5", 0), None)):
        (query, *_) = queried(origin, kind="demonstration", length=5, options=1)
        shown = playing(act or (lambda _: np.zeros(3)), origin, rng=np.random.default_rng(0))(
            replace(query, options=query.options * 3)
        )
        for name in ("observations", "actions", "rewards", "earlier_actions"):
            assert getattr(shown, name).dtype == getattr(query.left, name).dtype, name
            assert getattr(shown, name).shape[1:] == getattr(query.left, name).shape[1:], name


def test_a_window_may_run_into_the_end_of_the_episode():
    shows = playing(always_left, CARTPOLE, rng=np.random.default_rng(0))
    (query, *_) = queried(CARTPOLE, kind="demonstration", options=3)
    made = [shows(query) for _ in range(30)]
    assert all(segment.terminated and segment.start + segment.lived <= 11 for segment in made)
    assert {segment.start for segment in made} >= {0, 8}
    for segment in made:
        replay(segment, draw=False)


def test_the_same_random_numbers_show_the_same():
    (query, *_) = queried(CARTPOLE, kind="demonstration", options=3)
    one, two, other = ([playing(balance, CARTPOLE, rng=np.random.default_rng(s))(query)] for s in (0, 0, 1))
    assert bits(one) == bits(two) != bits(other)


def test_it_plays_where_the_run_does():
    origin = Origin("CartPole-v1", 0, {"max_episode_steps": 80}, 60)
    (query, *_) = queried(origin, kind="demonstration", options=3)
    shows = playing(always_left, origin, rng=np.random.default_rng(0))
    made = [shows(query) for _ in range(10)]
    assert all(segment.lived == 25 and not segment.terminated for segment in made)  # a failure ends nothing
    assert {(s.origin.env_id, s.origin.fixed_horizon) for s in made} == {("CartPole-v1", 60)}
    assert all(s.origin.env_kwargs == {"max_episode_steps": 80} and s.start <= 35 for s in made)
    for segment in made:
        replay(segment, draw=False)


# Corrections


@pytest.mark.parametrize(
    ("origin", "act"),
    [
        (CARTPOLE, balance),
        (Origin("CartPole-v1", 0, {"max_episode_steps": 80}, 60), balance),
        (Origin("Pendulum-v1", 0, {"g": 5.0}), swing),
        (Origin("Hopper-v5", 0, {}, 60), lambda observation: np.tanh(observation[:3])),
    ],
)
def test_a_correction_goes_on_from_where_the_option_starts(origin, act):
    shows = playing(act, origin, rng=np.random.default_rng(0))
    queries = queried(origin, kind="correction")
    assert {query.left.start for query in queries} == {0, 4}
    for query in queries:
        better, original = shows(query), query.left
        assert np.array_equal(better.observations[0], original.observations[0])
        assert np.array_equal(better.earlier_actions, original.earlier_actions)
        assert (better.origin, better.length) == (original.origin, original.length)
        chosen = np.array([act(observation) for observation in better.observations[:-1]], better.actions.dtype)
        assert np.array_equal(better.actions, chosen) and not np.array_equal(chosen, original.actions)
        replay(better, draw=False)
        (choice,) = choices([Preference(query, Shown(better))])
        assert bits(choice.options) == bits([better, original]) and choice.target == (1.0, 0.0)


def test_it_ends_where_the_episode_does():
    for origin, terminated in ((CARTPOLE, True), (Origin("CartPole-v1", 0, {"max_episode_steps": 8}), False)):
        (query, *_) = queried(origin, kind="correction", length=30)
        better = playing(always_left, origin, rng=np.random.default_rng(0))(query)
        assert (better.start, better.length, better.terminated) == (0, 30, terminated)
        assert 8 <= better.lived <= 11 if terminated else better.lived == 8


def test_a_state_that_is_not_reached_again_is_refused():
    (query, *_) = queried(CARTPOLE, kind="correction")
    shows = playing(balance, CARTPOLE, rng=np.random.default_rng(0))
    moved = replace(query.left, observations=query.left.observations + np.float32(0.1))
    with pytest.raises(ValueError, match="CartPole-v1 doesn't replay: observation 0 of the episode with seed"):
        shows(replace(query, options=(moved,)))
    with pytest.raises(ValueError, match=r"Segment\(.* has no origin to replay it from"):
        shows(replace(query, options=(replace(query.left, origin=None),)))
