"""Coverage, and disagreement against error, on numbers by hand."""

import dataclasses

import numpy as np
import pytest

from rlhf_gym.rewards.metrics.coverage import cover
from rlhf_gym.rewards.metrics.disagreement import disagreement, errors
from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.rewards.metrics.outside_coverage import outside_coverage
from rlhf_gym.segments import Ending, Trajectory

LABELLED = [np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])]
STD = np.sqrt(1.25)  # of 0, 1, 2, 3


def judged(*, true, learned, members, inputs=None, labelled=LABELLED):
    n = len(true)
    return Judged(
        trajectories=[Trajectory(np.zeros((n + 1, 1)), np.zeros((n, 1)), true, Ending.TRUNCATED)],
        learned=[learned],
        true=[true],
        members=[members],
        inputs=[np.zeros((n, 1)) if inputs is None else inputs],
        labelled=labelled,
        segment_length=5,
        gamma=0.9,
        learned_function=lambda observations, *_: observations[:, 0],
    )


def unsure(n=400):
    """Members that differ where the reward is wrong, and by how much."""
    rng = np.random.default_rng(0)
    true, off = 100 * rng.normal(size=n), rng.normal(size=n)
    inputs = np.where(np.arange(n) < n // 2, 1.5, 9.0)[:, None]
    return judged(
        true=true,
        learned=true + off,
        members=np.stack([true + off, true - off]),
        inputs=inputs,
    )


def test_coverage_reaches_as_far_as_labelled_segments_are_from_each_other():
    # To the nearest step of the other segment: 2, 1, 1 and 2. Of 1, 1, 2, 2 the 95th percentile is 2.
    covered = cover(np.array([[4.9], [5.1], [-1.9], [1.5]]), LABELLED)
    assert covered.radius == pytest.approx(2 / STD)
    assert covered.distances == pytest.approx(np.array([1.9, 2.1, 1.9, 0.5]) / STD)
    assert covered.outside.tolist() == [False, True, False, False]


def test_a_coordinate_that_never_varied_counts_in_its_own_unit():
    labelled = [np.column_stack([one, np.full(2, 7.0)]) for one in LABELLED]
    assert cover(np.array([[1.0, 10.0]]), labelled).distances == pytest.approx([3])


def test_coverage_needs_two_labelled_segments():
    with pytest.raises(ValueError, match="coverage needs at least 2 labelled segments and got 1; ask for labels"):
        cover(np.zeros((5, 1)), LABELLED[:1])


def test_the_error_is_what_scale_and_shift_leave():
    # Best line through (0, 0), (1, 1), (2, 5): slope 2.5 through (1, 2), so -0.5, 2 and 4.5.
    assert errors(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 5.0])) == pytest.approx([0.5, 1, 0.5])
    assert errors(np.array([0.0, 1.0, 2.0]), np.array([7.0, 5.0, 3.0])).tolist() == [0, 0, 0]


def test_members_that_differ_where_the_reward_is_wrong_tell_so():
    assert disagreement()(unsure()) > 0.9
    shuffled = dataclasses.replace(unsure(), members=[np.roll(unsure().members[0], 7, axis=1)])
    assert disagreement()(shuffled) < 0.2


def test_each_side_of_the_coverage_is_told_by_itself():
    whole, first = unsure(), np.arange(400) < 200
    blind = np.where(first, whole.members[0], whole.members[0].mean(axis=0))  # members agree on what is far away
    blind[0] += np.random.default_rng(1).normal(size=400) * ~first
    found = dataclasses.replace(whole, members=[blind])
    assert disagreement("inside")(found) > 0.9 > 0.3 > disagreement("outside")(found)
    assert outside_coverage()(found) == 0.5


def test_steps_that_are_too_few_are_told():
    inside = dataclasses.replace(unsure(), inputs=[np.full((400, 1), 1.5)])
    with pytest.raises(ValueError, match="disagreement outside coverage needs at least 20 steps there and got 0"):
        disagreement("outside")(inside)


def test_one_member_has_nobody_to_disagree_with():
    alone = dataclasses.replace(unsure(), members=[unsure().members[0][:1]])
    with pytest.raises(ValueError, match=r"needs at least 2 members and got 1; use a larger reward\.ensemble_size"):
        disagreement()(alone)


def test_a_place_that_is_none_is_refused():
    with pytest.raises(ValueError, match="got where 'far'; use one of anywhere, inside, outside"):
        disagreement("far")
