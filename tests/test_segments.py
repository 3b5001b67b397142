import dataclasses
from collections import Counter

import numpy as np
import pytest

from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.segments import Ending, Origin, Segment, Trajectory, pad, sample_segments

TERMINATED, TRUNCATED, UNFINISHED = Ending.TERMINATED, Ending.TRUNCATED, Ending.UNFINISHED


def trajectory(steps, ending, first=0, origin=None):
    """Observations count up from `first`, actions are ten times and rewards minus the observation they belong to."""
    observations = np.arange(first, first + steps + 1, dtype=np.float32)[:, None]
    return Trajectory(observations, 10 * np.arange(first, first + steps), -observations[:-1, 0], ending, origin)


def segment(observations, *, length, terminated=False):
    """A segment of the given observations, all rewards 1, all actions 7."""
    lived = len(observations) - 1
    return Segment(
        observations=np.array(observations, np.float32)[:, None],
        actions=np.full(lived, 7),
        rewards=np.ones(lived),
        length=length,
        terminated=terminated,
        earlier_actions=np.zeros(0, np.int64),
    )


def seen(segments):
    """First observation, last observation and lived steps of each segment, in order."""
    return sorted((int(s.observations[0, 0]), int(s.observations[-1, 0]), s.lived) for s in segments)


# The rule for windows


@pytest.mark.parametrize(
    ("steps", "ending", "windows"),
    [
        (5, TERMINATED, 5),  # starts 0 to 4
        (2, TERMINATED, 2),
        (5, TRUNCATED, 3),  # starts 0, 1, 2
        (3, TRUNCATED, 1),
        (2, TRUNCATED, 1),  # short as a whole: not dropped
        (5, UNFINISHED, 3),
        (3, UNFINISHED, 1),
        (2, UNFINISHED, 0),  # what comes next isn't known yet
    ],
)
def test_windows_of_three_steps_are_counted_by_the_rule(steps, ending, windows):
    assert trajectory(steps, ending).windows(3) == windows


def test_an_episode_whose_observation_never_changes_has_windows_as_any_other():
    still = Trajectory(np.ones((6, 1)), np.arange(5), np.arange(5.0), TRUNCATED)
    assert still.windows(3) == 3
    fallen = Trajectory(np.array([0, 1, 2, 2, 2, 2])[:, None], np.arange(5), np.arange(5.0), TRUNCATED)
    assert (still.settled, fallen.settled) == (5, 2) and fallen.windows(1) == 3


def test_before_a_termination_a_window_starts_anywhere_and_lives_until_the_end():
    segments = sample_segments([trajectory(5, TERMINATED)], length=3, n=5, rng=np.random.default_rng(0))
    assert seen(segments) == [(0, 3, 3), (1, 4, 3), (2, 5, 3), (3, 5, 2), (4, 5, 1)]
    # A window that ends exactly at the termination is whole, and terminated.
    assert {int(s.observations[0, 0]): s.terminated for s in segments} == {
        0: False,
        1: False,
        2: True,
        3: True,
        4: True,
    }
    assert all(s.length == 3 for s in segments)


@pytest.mark.parametrize("ending", [TRUNCATED, UNFINISHED])
def test_before_any_other_ending_a_window_must_fit(ending):
    segments = sample_segments([trajectory(5, ending)], length=3, n=3, rng=np.random.default_rng(0))
    assert seen(segments) == [(0, 3, 3), (1, 4, 3), (2, 5, 3)]
    assert not any(s.terminated for s in segments)


def test_a_short_truncated_episode_gives_one_window_of_its_own_length():
    (short,) = sample_segments([trajectory(2, TRUNCATED)], length=3, n=1, rng=np.random.default_rng(0))
    assert (short.lived, short.length, short.terminated) == (2, 3, False)
    assert short.observations[:, 0].tolist() == [0, 1, 2]


def test_windows_never_cross_from_one_episode_into_the_next():
    episodes = [
        trajectory(2, TERMINATED, first=0),
        trajectory(1, UNFINISHED, first=100),  # no window at all
        trajectory(4, TRUNCATED, first=200),
        trajectory(2, TRUNCATED, first=300),
        trajectory(3, UNFINISHED, first=400),
    ]
    segments = sample_segments(episodes, length=3, n=6, rng=np.random.default_rng(0))
    assert seen(segments) == [(0, 2, 2), (1, 2, 1), (200, 203, 3), (201, 204, 3), (300, 302, 2), (400, 403, 3)]


def test_windows_are_drawn_uniformly_short_episodes_and_last_starts_included():
    episodes = [trajectory(5, TERMINATED), trajectory(2, TRUNCATED, first=100)]
    rng, counts = np.random.default_rng(0), Counter()
    for _ in range(3000):
        counts.update(seen(sample_segments(episodes, length=3, n=2, rng=rng)))
    assert len(counts) == 6
    # Each of 6 windows is among 2 with probability 1/3; 5 standard deviations of Binomial(3000, 1/3) are 129.
    assert all(abs(count - 1000) < 129 for count in counts.values())


def test_the_same_window_is_not_drawn_twice():
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert len(set(seen(sample_segments([trajectory(4, TERMINATED)], length=2, n=3, rng=rng)))) == 3


def test_the_same_seed_draws_the_same_windows_in_the_same_order():
    def draw(seed):
        segments = sample_segments([trajectory(90, TERMINATED)], length=5, n=8, rng=np.random.default_rng(seed))
        return [s.start for s in segments]

    assert draw(3) == draw(3) != draw(4)


# What a segment holds


def test_a_segment_knows_where_in_its_episode_it_lies_and_how_to_start_the_episode_again():
    origin = Origin("CartPole-v1", seed=5)
    cut = trajectory(6, TRUNCATED, origin=origin).cut(2, 3)
    assert cut.start == 2
    assert cut.earlier_actions.tolist() == [0, 10]
    assert cut.actions.tolist() == [20, 30, 40]
    assert cut.observations[:, 0].tolist() == [2, 3, 4, 5]
    assert cut.rewards.tolist() == [-2, -3, -4]
    assert cut.true_return == -9
    assert cut.origin is origin


def test_a_segment_keeps_copies_and_not_views():
    episode = trajectory(6, TRUNCATED)
    cut = episode.cut(2, 3)
    for array in (episode.observations, episode.actions, episode.rewards):
        array[:] = 99
    assert cut.observations[:, 0].tolist() == [2, 3, 4, 5]
    assert (cut.earlier_actions.tolist(), cut.actions.tolist()) == ([0, 10], [20, 30, 40])
    assert cut.rewards.tolist() == [-2, -3, -4]
    # A view would keep the whole episode in memory.
    assert all(a.base is None for a in (cut.observations, cut.actions, cut.rewards, cut.earlier_actions))


@pytest.mark.parametrize("name", ["observations", "actions", "rewards", "earlier_actions"])
def test_the_arrays_of_a_segment_are_read_only(name):
    with pytest.raises(ValueError, match="read-only"):
        getattr(trajectory(6, TRUNCATED).cut(2, 3), name)[0] = 1


def test_values_are_frozen():
    episode = trajectory(3, TRUNCATED)
    cut = episode.cut(0, 3)
    query = Query((cut, cut), id="q")
    for value in (episode, cut, query, Preference(query, Answer.TIE), pad([cut]), Origin("CartPole-v1", 0)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, dataclasses.fields(value)[0].name, None)


def test_repr_shows_shapes_and_not_arrays():
    episode = trajectory(4, TERMINATED)
    assert repr(episode) == "Trajectory(4 steps, terminated, true_return=-6)"
    assert repr(episode.cut(1, 9)) == "Segment(lived 3 of 9 from step 1, obs (1,), terminated)"
    assert repr(episode.cut(1, 2)) == "Segment(lived 2 of 2 from step 1, obs (1,))"


# Padding


def test_padding_repeats_zeros_and_weighs_nothing():
    steps = pad([segment([1, 2, 3, 4], length=3), segment([5, 6, 7], length=3, terminated=True)])
    assert steps.observations[..., 0].tolist() == [[1, 2, 3], [5, 6, 0]]
    assert steps.next_observations[..., 0].tolist() == [[2, 3, 4], [6, 7, 0]]
    assert steps.actions.tolist() == [[7, 7, 7], [7, 7, 0]]
    assert steps.weights.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert steps.terminated.tolist() == [[False, False, False], [False, True, False]]


def test_the_learned_return_is_the_sum_over_lived_steps():
    # Every step is paid 2 plus the observation it leads to: 2+2 + 2+3 + 2+4 = 15, and 2+6 + 2+7 = 17.
    steps = pad([segment([1, 2, 3, 4], length=3), segment([5, 6, 7], length=3, terminated=True)])
    assert ((2 + steps.next_observations[..., 0]) * steps.weights).sum(axis=1).tolist() == [15, 17]


def test_a_termination_at_the_nominal_end_marks_the_last_step():
    steps = pad([segment([1, 2, 3], length=2, terminated=True), segment([1, 2], length=2, terminated=True)])
    assert steps.terminated.tolist() == [[False, True], [True, False]]
    assert steps.weights.tolist() == [[1, 1], [1, 0]]


def test_a_short_truncated_window_weighs_only_what_it_lived_and_marks_no_termination():
    steps = pad([trajectory(2, TRUNCATED).cut(0, 4)])
    assert steps.weights.tolist() == [[1, 1, 0, 0]]
    assert not steps.terminated.any()


def test_padding_keeps_shapes_and_dtypes_of_observations_and_actions():
    image = Segment(
        observations=np.ones((3, 4, 5), np.uint8),
        actions=np.ones((2, 6), np.float32),
        rewards=np.ones(2),
        length=7,
        terminated=True,
        earlier_actions=np.zeros((0, 6), np.float32),
    )
    steps = pad([image, image])
    assert (steps.observations.shape, steps.observations.dtype) == ((2, 7, 4, 5), np.uint8)
    assert (steps.next_observations.shape, steps.next_observations.dtype) == ((2, 7, 4, 5), np.uint8)
    assert (steps.actions.shape, steps.actions.dtype) == ((2, 7, 6), np.float32)
    assert (steps.terminated.shape, steps.terminated.dtype) == ((2, 7), bool)
    assert (steps.weights.shape, steps.weights.dtype) == ((2, 7), np.float32)


# Answers


def test_an_answer_is_the_probability_that_left_is_preferred():
    assert [Answer.LEFT.target, Answer.RIGHT.target, Answer.TIE.target] == [1, 0, 0.5]


def test_a_skipped_query_has_no_target():
    with pytest.raises(ValueError, match="a skipped query has no target; leave it out"):
        _ = Answer.SKIP.target


# Bad input


def test_a_length_longer_than_anything_seen_is_refused():
    episodes = [trajectory(4, UNFINISHED), trajectory(6, UNFINISHED)]
    with pytest.raises(ValueError, match=r"segment_length is 7 but .* has 6 steps; use segment_length <= 6 or watch"):
        sample_segments(episodes, length=7, n=1, rng=np.random.default_rng(0))


def test_nothing_seen_is_refused():
    with pytest.raises(ValueError, match="has 0 steps; .* watch more steps"):
        sample_segments([], length=3, n=1, rng=np.random.default_rng(0))


def test_more_segments_than_windows_are_refused():
    with pytest.raises(ValueError, match="n is 6 but only 5 segments can be cut; use a smaller n"):
        sample_segments([trajectory(5, TERMINATED)], length=3, n=6, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("observations", "actions", "rewards"),
    [((1, 2), (0,), (0,)), ((3, 2), (3,), (3,)), ((4, 2), (3,), (2,)), ((4, 2), (3,), (3, 1))],
    ids=["no action", "no last observation", "a reward too few", "a column of rewards"],
)
def test_arrays_that_do_not_belong_together_are_refused(observations, actions, rewards):
    arrays = np.zeros(observations), np.zeros(actions), np.zeros(rewards)
    with pytest.raises(ValueError, match=f"a trajectory of {len(arrays[1])} actions came with {len(arrays[0])} obs"):
        Trajectory(*arrays, ending=TRUNCATED)
    with pytest.raises(ValueError, match="a segment of .* expected at least 1 action, one observation more"):
        Segment(*arrays, length=9, terminated=False, earlier_actions=np.zeros(0))


def test_a_segment_that_lived_longer_than_it_lasts_is_refused():
    with pytest.raises(ValueError, match="a segment of length 2 came with 3 steps; use length >= steps"):
        segment([1, 2, 3, 4], length=2)


def test_a_query_of_unequal_lengths_is_refused():
    with pytest.raises(
        ValueError, match="the options of a query last 3 and 4 steps; expected at least one option, all of equal length"
    ):
        Query((segment([1, 2, 3], length=3), segment([1, 2, 3], length=4)), id="q")


def test_lived_lengths_of_a_query_may_differ():
    query = Query((segment([1, 2, 3, 4], length=3), segment([1, 2], length=3, terminated=True)), id="q")
    assert (query.left.lived, query.right.lived) == (3, 1)


def test_segments_of_other_numbers_are_padded_without_cutting_any():
    whole = Segment(np.array([[1], [2]]), np.array([1]), np.ones(1), 1, False, earlier_actions=np.zeros(0, np.int64))
    broken = dataclasses.replace(whole, observations=np.array([[0.5], [1.5]], np.float32), actions=np.array([0.25]))
    for segments in ([whole, broken], [broken, whole]):
        steps = pad(segments)
        assert sorted(steps.observations.flatten()) == [0.5, 1] and sorted(steps.actions) == [[0.25], [1]]
        assert sorted(steps.next_observations.flatten()) == [1.5, 2]


def test_padding_nothing_is_refused():
    with pytest.raises(ValueError, match="got no segments; expected at least one"):
        pad([])


def test_a_mirrored_answer_names_the_other_side_and_leaves_ties_and_skips():
    assert [answer.mirrored for answer in Answer] == [Answer.RIGHT, Answer.LEFT, Answer.TIE, Answer.SKIP]
