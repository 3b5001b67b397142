"""Metrics of a learned reward, on numbers by hand."""

import dataclasses
import math

import numpy as np
import pytest

from rlhf_gym.errors import BadInput
from rlhf_gym.registry import METRICS, make
from rlhf_gym.rewards.metrics.correlation import correlation
from rlhf_gym.rewards.metrics.judged import Judged
from rlhf_gym.rewards.metrics.metric import make_metric, measure
from rlhf_gym.rewards.metrics.pair_accuracy import pair_accuracy
from rlhf_gym.rewards.metrics.spearman import spearman
from rlhf_gym.segments import Ending, Trajectory

TRUE = [np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, 4.0])]
BEST_AND_WORST = {
    "correlation": (1, -1),
    "spearman": (1, -1),
    "segment_correlation": (1, -1),
    "segment_spearman": (1, -1),
    "pair_accuracy": (1, 0),
    "gap_accuracy": (1, 0),
    "epic": (0, 1),
    "dard": (0, 1),
}
OF_THE_MODEL = {"calibration_error", "outside_coverage", "disagreement"}  # which a scale changes, or the true one not


def judged(scale=1.0, true=lambda observations, actions, following: following[:, 0] - actions[:, 0] ** 2):
    """Six walks of 30 steps; the learned reward is the true one times `scale`."""
    rng = np.random.default_rng(0)
    walks = [np.cumsum(rng.normal(size=(31, 2)), axis=0) for _ in range(6)]
    actions = [rng.normal(size=(30, 1)) for _ in walks]
    rewards = [true(walk[:-1], one, walk[1:]) for walk, one in zip(walks, actions, strict=True)]
    return Judged(
        trajectories=[
            Trajectory(walk, one, reward, Ending.TRUNCATED)
            for walk, one, reward in zip(walks, actions, rewards, strict=True)
        ],
        learned=[scale * reward for reward in rewards],
        true=rewards,
        members=[scale * np.stack([reward, reward]) for reward in rewards],
        inputs=[walk[:-1] for walk in walks],
        labelled=[walk[:10] for walk in walks],
        segment_length=5,
        gamma=0.9,
        learned_function=lambda *steps: scale * true(*steps),
        true_function=true,
        true_explained=1.0,
    )


def test_every_registered_metric_is_tested_here():
    assert {*BEST_AND_WORST, *OF_THE_MODEL} == set(METRICS)


@pytest.mark.parametrize("name", BEST_AND_WORST)
def test_every_metric_is_best_for_the_true_reward_at_any_positive_scale_and_worst_for_its_opposite(name):
    metric, (best, worst) = make("metric", name, {}), BEST_AND_WORST[name]
    assert measure(metric, judged()) == pytest.approx(best, abs=1e-6)
    assert measure(metric, judged(3.0)) == pytest.approx(best, abs=1e-6)
    assert measure(metric, judged(-1.0)) == pytest.approx(worst, abs=1e-6)


@pytest.mark.parametrize("name", ["correlation", "spearman", "pair_accuracy"])
def test_a_metric_of_two_rewards_needs_nothing_else(name):
    metric, (best, worst) = make("metric", name, {}), BEST_AND_WORST[name]
    assert metric(TRUE, TRUE) == pytest.approx(1)
    assert metric([3 * one for one in TRUE], TRUE) == pytest.approx(1) == best
    assert metric([-one for one in TRUE], TRUE) == pytest.approx(worst)


@pytest.mark.parametrize("name", [*BEST_AND_WORST, "disagreement"])
def test_a_metric_of_a_constant_true_reward_has_nothing_to_tell_it_from(name):
    metric, constant = make("metric", name, {}), judged(true=lambda observations, *_: np.ones(len(observations)))
    noise = [one + np.arange(30.0) for one in constant.learned]
    assert math.isnan(measure(metric, constant))
    assert math.isnan(measure(metric, dataclasses.replace(constant, learned=noise)))


def test_a_metric_of_ones_own_takes_both_rewards_or_all_there_is():
    assert measure(lambda learned, true: len(learned) + len(true), judged()) == 12
    assert measure(lambda one: one.segment_length, judged()) == 5


def test_spearmans_correlation_is_that_of_ranks():
    # Ranks 1 2 3 against 1 3 2: deviations (-1, 0, 1) and (-1, 1, 0), as in Pearson's below.
    assert spearman()([np.array([1.0, 20.0, 300.0])], [np.array([-7.0, 2.0, 1.0])]) == pytest.approx(0.5)


def test_correlation_is_pearsons():
    # Deviations (-1, 0, 1) and (-1, 1, 0): their product sums to 1, their squares to 2 each.
    assert correlation()([np.array([1.0, 2.0, 3.0])], [np.array([0.0, 2.0, 1.0])]) == pytest.approx(0.5)


def test_pair_accuracy_is_that_of_sums_over_segments():
    # Segments of two steps: true sums 1, 3, 5 and 9; learned 1, 3, 5 and 0: three of six pairs are ordered alike.
    learned = [TRUE[0], np.array([0.0, 0.0])]
    assert pair_accuracy(length=2, pairs=20_000)(learned, TRUE) == pytest.approx(0.5, abs=0.02)  # 5 deviations: 0.018


def test_rounding_is_no_difference_and_a_learned_tie_counts_half():
    tenths = [np.full(40, 0.1), np.full(40, 0.1)]
    assert math.isnan(pair_accuracy()([np.arange(40.0)] * 2, tenths))  # 25 tenths are 2.5, but not to the last digit
    assert pair_accuracy(length=2)([np.zeros_like(one) for one in TRUE], TRUE) == 0.5


def test_what_can_t_be_called_is_no_metric():
    with pytest.raises(BadInput, match="metric is 'os:getcwd', which gives str; expected a function of the learned"):
        make_metric("os:getcwd", {})


def test_a_number_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="pair_accuracy got length 0 and pairs 10000; use at least 1 of each"):
        pair_accuracy(length=0)
