"""Returns, accuracy, calibration over pairs of segments, on numbers by hand."""

import dataclasses

import numpy as np
import pytest

from rlhf_gym.rewards.metrics.calibration import calibration_error, reliability
from rlhf_gym.rewards.metrics.gap_accuracy import accuracies, gap_accuracy
from rlhf_gym.rewards.metrics.judged import Judged, together
from rlhf_gym.rewards.metrics.pairs import draw_pairs
from rlhf_gym.rewards.metrics.segment_correlation import segment_correlation
from rlhf_gym.segments import Ending, Trajectory


def judged(rewards, *, ending=Ending.TRUNCATED, length=2, certainty=1.0, learned=None):
    """One trajectory for each row of true rewards; the one member is the true reward times `certainty`."""
    rewards = [np.array(one, float) for one in rewards]
    return Judged(
        trajectories=[
            Trajectory(np.arange(len(one) + 1.0)[:, None], np.zeros((len(one), 1)), one, ending) for one in rewards
        ],
        learned=rewards if learned is None else [np.array(one, float) for one in learned],
        true=rewards,
        members=[certainty * one[None] for one in rewards],
        inputs=[np.zeros((len(one), 1)) for one in rewards],
        labelled=[],
        segment_length=length,
        gamma=0.9,
        learned_function=lambda observations, actions, following: observations[:, 0],
    )


def rising(n=60):
    return judged([np.arange(n), np.arange(n) + 0.5], length=5)


def test_returns_are_those_of_every_segment_that_could_be_asked_about():
    both = [[1, 2, 4], [10, 20, 40]]
    assert judged(both).segment_returns[1].tolist() == [3, 6, 30, 60]
    ended = judged(both, ending=Ending.TERMINATED, certainty=2.0).segment_returns  # nothing is paid after the end
    assert ended[1].tolist() == [3, 6, 4, 30, 60, 40]
    assert ended[2].tolist() == [6, 12, 8, 60, 120, 80]


def test_what_is_judged_together_is_one_after_the_other():
    whole = together([judged([[1, 2, 4]]), judged([[10, 20, 40]])])
    assert whole.segment_returns.tolist() == judged([[1, 2, 4], [10, 20, 40]]).segment_returns.tolist()


def test_accuracy_is_told_by_quarters_of_the_true_gap():
    true = np.array([8, -1, 2, 7, -3, 4, 5, -6])
    learned = np.array([9, 1, 1, 1, 1, 0, 5, -1])  # wrong about gaps 1 and 3, undecided about 4
    assert accuracies(learned, true).tolist() == [5.5 / 8, 0.5, 0.25, 1, 1]


def test_the_closest_quarter_is_where_a_rough_reward_errs():
    true = np.random.default_rng(0).permutation(100).astype(float)
    rough = judged([true, true[::-1]], length=1, learned=[np.floor(true / 10), np.floor(true[::-1] / 10)])
    each = [gap_accuracy(quarter)(rough) for quarter in (1, 2, 3, 4)]
    assert each == sorted(each) and each[3] == 1 and each[0] < 0.9


def test_sums_that_differ_by_rounding_are_a_tie():
    pairs = draw_pairs(judged([[0.1] * 50, [0.1] * 50], length=7), metric="it", pairs=200, seed=0)
    assert not pairs.true.any() and set(pairs.answers) == {0.5}


def test_a_segment_is_never_compared_with_itself():
    assert (draw_pairs(rising(), metric="it", pairs=5000, seed=0).true != 0).all()


def test_the_calibration_error_is_that_of_bins_of_equal_mass():
    found = reliability(np.array([0.8, 0.1, 0.6, 0.3]), np.array([1, 0, 1, 1]), bins=2)
    assert found.predicted == pytest.approx([0.2, 0.7])
    assert found.answered == pytest.approx([0.5, 1.0])
    assert found.sizes.tolist() == [2, 2]
    assert found.error == pytest.approx(0.3)  # both are 0.3 off


def test_bins_count_by_their_pairs():
    found = reliability(np.array([0.0, 0.0, 1.0]), np.array([1.0, 1.0, 1.0]), bins=2)
    assert found.error == pytest.approx(2 / 3)  # two pairs are off by 1


def test_certain_and_right_is_calibrated_certain_and_wrong_is_not():
    sure = judged([np.arange(60), np.arange(60) + 0.5], certainty=1000.0)
    wrong = dataclasses.replace(sure, members=[-one for one in sure.members])
    assert calibration_error()(sure) == pytest.approx(0, abs=1e-6)
    assert calibration_error()(wrong) == pytest.approx(1, abs=0.02)  # one bin holds both sides of a half


def test_members_that_contradict_each_other_predict_a_coin():
    members = [np.vstack([100 * one, -100 * one]) for one in rising().true]
    pairs = draw_pairs(dataclasses.replace(rising(), members=members), metric="it", pairs=100, seed=0)
    assert pairs.members.shape == (2, 100)
    found = calibration_error(bins=1)(dataclasses.replace(rising(), members=members))
    assert found == pytest.approx(0, abs=0.02)  # left is preferred as often as not: 4 deviations


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        (gap_accuracy(), "gap_accuracy needs at least 2 trajectories and got 1; play more episodes"),
        (calibration_error(), "calibration_error needs at least 2 trajectories and got 1; play more episodes"),
        (segment_correlation(), "segment_correlation needs at least 10 segments and got 2; play more episodes"),
    ],
)
def test_too_little_to_tell_it_from_is_told(metric, told):
    with pytest.raises(ValueError, match=told):
        metric(judged([[1, 2, 4]]))


def test_few_segments_and_few_pairs_apart_are_told():
    with pytest.raises(ValueError, match="gap_accuracy needs at least 10 segments and got 4"):
        gap_accuracy()(judged([[1, 2, 4], [1, 2, 4]]))
    with pytest.raises(ValueError, match="needs at least 40 pairs that the true reward tells apart and got 30"):
        gap_accuracy(pairs=30)(rising())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: gap_accuracy(5), "gap_accuracy got quarter 5 and pairs 10000; use 1 to 4"),
        (lambda: gap_accuracy(pairs=0), "gap_accuracy got quarter None and pairs 0"),
        (lambda: calibration_error(bins=0), "calibration_error got 0 bins and 10000 pairs"),
        (lambda: calibration_error(bins=10, pairs=9), "a pair for each"),
    ],
)
def test_options_out_of_range_are_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()
