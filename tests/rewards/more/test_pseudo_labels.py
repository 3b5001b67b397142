"""Pseudo-labels: only where the model is sure, and never a label."""

from typing import Any

import numpy as np
import pytest
import torch

from rlhf_gym.errors import BadInput
from rlhf_gym.kinds import choices
from rlhf_gym.rewards import Bootstrap, RewardModel, fit_reward_model
from rlhf_gym.rewards.more.more import More, Situation
from rlhf_gym.rewards.more.pseudo_labels import pseudo_labels, recent_pairs, sure
from rlhf_gym.segments import Segment, pad
from tests.rewards.test_fitting import LEFT_RIGHT, TWO, preferences, segment
from tests.rewards.test_learner import episodes

RECENT = episodes(6, seed=3)


def model(**options: Any) -> RewardModel:
    return RewardModel(TWO, LEFT_RIGHT, ensemble_size=3, hidden=(8,), seed=0, **options)


def fit(of: RewardModel, *more: More, steps: int = 60, n: int = 60) -> Any:
    return fit_reward_model(
        of,
        choices(preferences(n)),
        bootstrap=Bootstrap(3, seed=8),
        rng=np.random.default_rng(7),
        steps=steps,
        learning_rate=0.01,
        more=more,
        lately=RECENT,
    )


def situation(of: RewardModel, batch_size: int = 4) -> Situation:
    return Situation(of, RECENT, 5, 30, batch_size, None, np.random.default_rng(1))


def fitted() -> RewardModel:
    of = model()
    fit(of)
    return of


def probability_of_left(of: RewardModel, left: Segment, right: Segment) -> float:
    returns = of.returns(pad([left, right]))
    return float((1 / (1 + np.exp(returns[:, 1] - returns[:, 0]))).mean())


@pytest.mark.parametrize("threshold", [0.6, 0.95])
def test_pairs_are_answered_where_the_members_mean_probability_is_sure_and_nowhere_else(threshold: float) -> None:
    of, rng = fitted(), np.random.default_rng(2)
    pairs = [(segment(rng), segment(rng)) for _ in range(100)]
    found = {choice.options: choice.target for choice in sure(of, pairs, threshold)}
    assert 0 < len(found) < 100
    for pair in pairs:
        p = probability_of_left(of, *pair)
        assert (pair in found) == (max(p, 1 - p) >= threshold)
        if pair in found:
            assert found[pair] == ((1, 0) if p > 0.5 else (0, 1))


def test_a_model_that_knows_nothing_answers_nothing() -> None:
    of = model()
    assert pseudo_labels().term(situation(of)) is None  # type: ignore[misc]


def test_they_are_no_choices_of_the_fit_and_in_none_of_its_figures() -> None:
    of, same = fitted(), fitted()
    plain, more = fit(same, steps=1), fit(of, pseudo_labels(0.6), steps=1)
    assert more.n == plain.n == 60
    assert torch.equal(more.left_out.choices, plain.left_out.choices)
    assert not torch.equal(of.ensemble.weights[0], same.ensemble.weights[0])
    figures = ("loss", "loss_heldout", "accuracy", "accuracy_heldout")
    fit(of, steps=1)
    # With no step there is no difference at all: figures are of the answers alone.
    assert [getattr(fit(fitted(), pseudo_labels(0.6), steps=0), name) for name in figures] == [
        getattr(fit(fitted(), steps=0), name) for name in figures
    ]


def test_the_term_is_their_mean_loss_times_its_weight_and_the_share_of_pairs_it_is_sure_of() -> None:
    of = fitted()
    about = situation(of, batch_size=1000)
    term = pseudo_labels(0.9, weight=2.0, pairs=3).term(about)  # type: ignore[misc]
    pairs = recent_pairs(RECENT, 5, 90, np.random.default_rng(1))
    own = sure(of, pairs, 0.9)
    assert term and 0 < len(own) < len(pairs)
    left, right = (of.returns(pad([choice.options[i] for choice in own])) for i in (0, 1))
    sign = np.array([1 if choice.target[0] else -1 for choice in own])
    losses = np.log1p(np.exp(-sign * (left - right)))
    by_hand = 2.0 * len(own) / len(pairs) * losses.mean(axis=1).sum()
    assert term().item() == pytest.approx(by_hand, rel=1e-4)


def test_networks_complete_the_linear_part_in_what_they_are_told_too() -> None:
    of = model(linear="linear")
    fit(of)
    about = situation(of, batch_size=1000)
    term = pseudo_labels(0.9).term(about)  # type: ignore[misc]
    assert term
    before = term().item()
    of.linear.mean.zero_(), of.linear.draws.zero_()
    alone = pseudo_labels(0.5).term(situation(of, batch_size=1000))  # type: ignore[misc]
    assert alone and alone().item() > before  # what the networks leave over alone is far less sure


def test_recent_pairs_are_of_different_segments_as_many_as_there_are() -> None:
    found = recent_pairs(RECENT, 5, 10, np.random.default_rng(0))
    assert len(found) == 10 and len({one for pair in found for one in pair}) == 20
    few = recent_pairs(episodes(1), 20, 1000, np.random.default_rng(0))  # of 20 steps, that end: 20 windows
    assert len(few) == 10
    segments = [segment(np.random.default_rng(i)) for i in range(5)]
    assert len(recent_pairs(segments, 5, 10, np.random.default_rng(0))) == 2
    assert recent_pairs(segments, 6, 10, np.random.default_rng(0)) == []


@pytest.mark.parametrize("wrong", [{"threshold": 0.4}, {"threshold": 1.1}, {"weight": -1}, {"ratio": 0}, {"pairs": 0}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=rf"reward\.more\.pseudo_labels\.{next(iter(wrong))} is"):
        pseudo_labels(**wrong)
