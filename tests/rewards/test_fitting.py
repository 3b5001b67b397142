"""Maximum likelihood: what is fitted, what is held out, and what the figures say."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Answer, Choice, Preference, Query
from rlhf_gym.rewards import Bootstrap, RewardFit, RewardModel, descent, fit_reward_model, fitting
from rlhf_gym.rewards.features import mean_and_std
from rlhf_gym.segments import Array, Segment, pad

TWO = spaces.Box(-np.inf, np.inf, (2,))
LEFT_RIGHT = spaces.Discrete(2)
FLIPPED = {Answer.LEFT: Answer.RIGHT, Answer.RIGHT: Answer.LEFT}


def segment(rng: np.random.Generator, length: int = 5) -> Segment:
    """A segment paid the first number it observes; one in two terminates early."""
    lived = int(rng.integers(1, length + 1)) if rng.random() < 0.5 else length
    observations = rng.normal([1, 3], 1, (lived + 1, 2)).astype(np.float32)
    actions = rng.integers(2, size=lived)
    return Segment(observations, actions, observations[:-1, 0], length, lived < length, earlier_actions=actions[:0])


def preferences(n: int, *, seed: int = 0) -> list[Preference]:
    """Answered by the sum of what the segments are paid."""
    rng = np.random.default_rng(seed)
    queries = [Query((segment(rng), segment(rng)), id=str(i)) for i in range(n)]
    return [Preference(q, Answer.LEFT if q.left.true_return > q.right.true_return else Answer.RIGHT) for q in queries]


def answered(kept: list[Preference], answer: Answer | None = None) -> list[Preference]:
    """The same queries with one answer to all, or with the opposite of theirs."""
    return [dataclasses.replace(p, answer=answer or FLIPPED[p.answer]) for p in kept]


def numbers(result: RewardFit) -> list[float]:
    """All figures of a fit that are one number each."""
    return [value for value in vars(result).values() if isinstance(value, int | float)]


class Fixed(Bootstrap):
    """Weights as they are given, shape (M, N)."""

    def __init__(self, weights: Array) -> None:
        self.given = np.asarray(weights, float)

    def weights(self, kept: Sequence[Choice]) -> Array:
        assert self.given.shape[1] == len(kept)
        return self.given


def fresh(ensemble_size: int = 3, seed: int = 0) -> RewardModel:
    return RewardModel(TWO, LEFT_RIGHT, ensemble_size=ensemble_size, hidden=(8,), seed=seed)


def weights_of(model: RewardModel) -> list[torch.Tensor]:
    return list(model.ensemble.weights)


def biases_of(model: RewardModel) -> list[torch.Tensor]:
    return list(model.ensemble.biases)


def fit(
    model: RewardModel, kept: list[Preference], *, bootstrap: Bootstrap | None = None, **settings: Any
) -> RewardFit:
    rng = np.random.default_rng(7)
    bootstrap = bootstrap or Bootstrap(model.ensemble_size, seed=8)
    plain = {"steps": 40, "batch_size": 16, "learning_rate": 0.01, "l2": 1e-3, "label_noise": 0.1}
    return fit_reward_model(model, choices(kept), bootstrap=bootstrap, rng=rng, **(plain | settings))


# Bootstrap


def test_a_preference_keeps_its_weights_whatever_stands_beside_it() -> None:
    kept = preferences(25)
    bootstrap, again = Bootstrap(3, seed=0), Bootstrap(3, seed=0)
    first = bootstrap.weights(choices(kept))
    assert first.shape == (3, 25)
    np.testing.assert_array_equal(bootstrap.weights(choices(kept[4:9])), first[:, 4:9])
    np.testing.assert_array_equal(again.weights(choices(kept[::-1])), first[:, ::-1])
    assert not np.array_equal(Bootstrap(3, seed=1).weights(choices(kept)), first)


def test_a_query_is_held_out_as_a_whole_whoever_answered_it_and_however_often() -> None:
    [one] = preferences(1)
    again = dataclasses.replace(one, query=dataclasses.replace(one.query, id="again", repeats=one.query.id))
    weights = Bootstrap(30, seed=0).weights(choices([one, dataclasses.replace(one, teacher="bob"), again]))
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 0] == weights[:, 2]).all()


def test_weights_are_on_average_1_and_a_share_of_1_over_e_is_held_out() -> None:
    [one] = preferences(1)
    named = (dataclasses.replace(one, query=dataclasses.replace(one.query, id=str(n))) for n in range(20_000))
    weights = Bootstrap(3, seed=0).weights(choices(named))
    # 5 standard deviations of the mean of 60000 draws: 0.020 and 0.010.
    assert weights.mean() == pytest.approx(1, abs=0.020)
    assert (weights == 0).mean() == pytest.approx(1 / math.e, abs=0.010)


def test_members_hold_out_different_preferences() -> None:
    held_out = Bootstrap(2, seed=0).weights(choices(preferences(100))) == 0
    assert (held_out[0] != held_out[1]).sum() > 20


# What a fit is made of


def test_a_fit_reports_finite_figures_and_how_long_it_took() -> None:
    result = fit(fresh(), preferences(60), steps=30)
    assert all(math.isfinite(value) for value in numbers(result))
    assert (result.n, result.steps) == (60, 30)
    assert result.seconds > 0 and 0 <= result.accuracy_heldout <= 1 and 0 <= result.accuracy <= 1


def test_fitting_makes_the_answers_more_probable() -> None:
    before, after = (fit(fresh(), preferences(100), steps=steps) for steps in (1, 150))
    assert after.loss < 0.5 * before.loss and after.loss_heldout < 0.7 * before.loss_heldout
    assert after.accuracy > 0.95 and after.accuracy_heldout > 0.85


def test_fitting_goes_on_from_the_model_as_it_is() -> None:
    model, kept = fresh(), preferences(100)
    first = fit(model, kept, steps=60)
    assert fit(model, kept, steps=10).loss < first.loss


def test_the_same_data_and_random_numbers_give_the_same_weights() -> None:
    one, other, kept = fresh(), fresh(), preferences(40)
    results = [dataclasses.replace(fit(model, kept), seconds=0) for model in (one, other)]
    assert results[0] == results[1]
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_skipped_queries_are_left_out() -> None:
    kept, weights = preferences(30), np.random.default_rng(3).poisson(1, (3, 30))
    with_skips = [*kept[:4], *answered(kept[:2], Answer.SKIP), *kept[4:]]
    plain, skipping = fresh(), fresh()
    result = fit(plain, kept, bootstrap=Fixed(weights))
    assert dataclasses.replace(fit(skipping, with_skips, bootstrap=Fixed(weights)), seconds=result.seconds) == result
    assert result.n == 30
    assert torch.equal(weights_of(plain)[0], weights_of(skipping)[0])


@pytest.mark.parametrize("n", [0, 3])
def test_a_fit_without_any_answer_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="no choices to fit to; expected at least one answer that isn't SKIP"):
        fit(fresh(), answered(preferences(n), Answer.SKIP))


def test_input_statistics_are_those_of_the_lived_steps() -> None:
    model, kept = fresh(), preferences(30)
    fit(model, kept)
    lived = np.concatenate([side.observations[:-1] for p in kept for side in (p.query.left, p.query.right)])
    np.testing.assert_allclose(model.input_mean[:2].tolist(), lived.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.input_std[:2].tolist(), lived.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize("constant", [0.0, 37.7, 65.3, -100_000.1])
def test_an_input_that_was_constant_is_standardised_by_1_whatever_its_size(constant: float) -> None:
    values = torch.full((999, 2), constant)
    values[:, 1] = torch.linspace(0, 1, 999)
    mean, std = mean_and_std(values)
    assert std[0] == 1 and std[1] == pytest.approx(0.289, abs=0.001)
    assert mean.tolist() == pytest.approx([constant, 0.5], rel=1e-5)


def test_a_fit_does_not_rescale_what_is_paid() -> None:
    model = fresh()
    fit(model, preferences(30))
    assert (model.output_scale.tolist(), model.output_shift.tolist()) == ([1, 1, 1], [0, 0, 0])


def test_ties_pull_two_segments_together() -> None:
    kept = preferences(60)
    fitted, tied = fresh(1), fresh(1)
    for model, said in ((fitted, kept), (tied, answered(kept, Answer.TIE))):
        fit(model, kept, steps=100)
        fit(model, said, steps=100, label_noise=0)
    steps = pad([side for p in kept for side in (p.query.left, p.query.right)])
    apart = [np.abs(np.diff(model.returns(steps)[0].reshape(-1, 2), axis=1)).mean() for model in (fitted, tied)]
    assert apart[1] < 0.2 * apart[0]


def test_a_member_learns_nothing_from_batches_in_which_it_weighs_everything_0() -> None:
    model, kept = fresh(2), preferences(24)
    before = [weight[0].clone() for weight in weights_of(model)]
    weights = np.array([np.zeros(24), np.ones(24)])
    result = fit(model, kept, bootstrap=Fixed(weights), batch_size=4, l2=0, steps=8)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert all(torch.equal(weight[0], old) for weight, old in zip(weights_of(model), before, strict=True))
    assert math.isfinite(result.loss)  # of the one that was fitted


def test_batches_with_one_weighed_preference_among_zeros_leave_finite_weights() -> None:
    model, weights = fresh(3), np.zeros((3, 20))
    weights[[0, 1, 2], [0, 7, 19]] = [1, 4, 2]
    result = fit(model, preferences(20), bootstrap=Fixed(weights), batch_size=2, steps=50)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert math.isfinite(result.loss) and math.isfinite(result.loss_heldout)


def test_a_single_preference_can_be_fitted() -> None:
    model, kept = fresh(), preferences(1)
    result = fit(model, kept, bootstrap=Fixed(np.ones((3, 1))), batch_size=16, steps=40)
    assert result.accuracy == 1
    assert math.isnan(result.loss_heldout) and math.isnan(result.accuracy_heldout)  # nothing was held out


# What the figures say


def test_losses_and_accuracies_are_weighted_means_by_hand() -> None:
    model, kept = fresh(2), preferences(12)
    kept[3:5] = answered(kept[3:5], Answer.TIE)
    weights = np.array([[2, 0, 1, 1, 0, 3, 0, 1, 1, 0, 2, 1], [0, 1, 1, 0, 0, 1, 2, 0, 1, 1, 0, 0]])
    result = fit(model, kept, bootstrap=Fixed(weights), learning_rate=0, l2=0, steps=1, label_noise=0.1)
    returns = model.returns(pad([side for p in kept for side in (p.query.left, p.query.right)])).astype(float)
    logits, targets = returns[:, ::2] - returns[:, 1::2], np.array([p.answer.target for p in kept])
    left = 0.9 / (1 + np.exp(-logits)) + 0.05
    losses = -(targets * np.log(left) + (1 - targets) * np.log(1 - left))
    right = np.where(targets == 0.5, 0.5, (logits > 0) == (targets == 1))

    def mean(values: Array, member_weights: Array) -> float:
        return float(np.mean([np.average(values[m], weights=member_weights[m]) for m in range(2)]))

    assert result.loss == pytest.approx(mean(losses, weights), rel=1e-5)
    assert result.loss_heldout == pytest.approx(mean(losses, weights == 0), rel=1e-5)
    assert result.accuracy == pytest.approx(mean(right, weights), rel=1e-5)
    assert result.accuracy_heldout == pytest.approx(mean(right, weights == 0), rel=1e-5)


def test_held_out_figures_are_not_of_answers_that_were_fitted() -> None:
    kept = preferences(120)
    contradicted = [*kept[:60], *answered(kept[60:])]
    weights = np.repeat([[1, 0]], 60, axis=1).reshape(1, 120)
    result = fit(fresh(1), contradicted, bootstrap=Fixed(weights), steps=150)
    assert result.accuracy > 0.95 and result.accuracy_heldout < 0.15
    assert result.loss_heldout > 4 * result.loss


# Weight decay


def test_each_gradient_step_shrinks_the_weights_by_the_decay_and_leaves_the_biases() -> None:
    model = fresh()
    weights, biases = ([p.clone() for p in group] for group in (weights_of(model), biases_of(model)))
    fit(model, preferences(20), learning_rate=0, l2=0.1, steps=5)
    for old, new in zip(weights, weights_of(model), strict=True):
        torch.testing.assert_close(new, old * 0.9**5, rtol=1e-5, atol=0)
    assert all(torch.equal(old, new) for old, new in zip(biases, biases_of(model), strict=True))


def test_decay_falls_while_larger_weights_would_serve_the_held_out_answers_and_rises_otherwise() -> None:
    kept = preferences(80)
    weights = np.repeat([[1, 0]], 40, axis=1).reshape(1, 80)
    agreeing, contradicting = kept, [*kept[:40], *answered(kept[40:])]
    falling, rising = (
        fit(fresh(1), said, bootstrap=Fixed(weights), l2=1e-3, steps=30).l2 for said in (agreeing, contradicting)
    )
    assert falling < 1e-3 < rising


def test_decay_stays_where_nothing_is_held_out() -> None:
    assert fit(fresh(1), preferences(20), bootstrap=Fixed(np.ones((1, 20))), l2=1e-3, steps=30).l2 == 1e-3


def test_the_weight_decay_is_steered_by_a_sample_where_there_are_more_preferences(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[list[int]] = []

    def spy(l2: float, likelihood: Any, some: torch.Tensor, *rest: Any, heldout: torch.Tensor) -> float:
        seen.append(some.tolist())
        return l2

    monkeypatch.setattr(descent, "_adapted", spy)
    for l2_sample in (12, 5):
        fit(fresh(), preferences(12), steps=20, l2_sample=l2_sample)
    whole, few = seen[:2], seen[2:]
    assert whole == [list(range(12))] * 2
    assert [len(set(some)) for some in few] == [5, 5] and few[0] != few[1]


# Other choices than between two


def ranked(n: int, k: int = 4, *, seed: int = 0) -> list[Choice]:
    """Rankings of k segments by what they are paid: k - 1 choices each, with one option fewer every time."""
    rng = np.random.default_rng(seed)
    rankings = [sorted((segment(rng) for _ in range(k)), key=lambda s: -s.true_return) for _ in range(n)]
    return [
        Choice(tuple(order[i:]), (1.0,) + (0.0,) * (k - 1 - i), group=str(number))
        for number, order in enumerate(rankings)
        for i in range(k - 1)
    ]


def test_rankings_are_fitted_and_teach_what_comparisons_teach() -> None:
    model, kept = fresh(), ranked(40)
    for _ in range(3):
        result = fit_reward_model(
            model, kept, bootstrap=Bootstrap(3, seed=8), rng=np.random.default_rng(7), steps=60, learning_rate=0.01
        )
    assert result.n == 120 and result.accuracy > 0.9
    others = preferences(100, seed=5)
    returns = model.returns(pad([side for p in others for side in p.query.options])).mean(axis=0)
    said_left = [p.answer is Answer.LEFT for p in others]
    assert np.mean((returns[::2] > returns[1::2]) == said_left) > 0.85


def test_batches_hold_fewer_choices_where_those_have_more_options(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, batches = [], descent._batches

    def spy(n: int, size: int, rng: np.random.Generator) -> Any:
        sizes.append(size)
        return batches(n, size, rng)

    monkeypatch.setattr(descent, "_batches", spy)
    # Rankings of 4 are choices among 4, 3 and 2: 3 on average, and 16 * 2 / 3 = 10.67.
    for kept in (choices(preferences(40)), ranked(20), ranked(20, k=2)):
        fit_reward_model(fresh(), kept, bootstrap=Bootstrap(3, seed=0), rng=np.random.default_rng(0), steps=1)
    assert sizes == [16, 11, 16]


def test_a_ranking_is_held_out_as_a_whole() -> None:
    weights = Bootstrap(30, seed=0).weights(ranked(5))
    assert weights.shape == (30, 15)
    assert all((weights[:, i : i + 3] == weights[:, [i]]).all() for i in range(0, 15, 3))


def test_comparisons_padded_beside_a_ranking_are_fitted_as_alone() -> None:
    kept = choices(preferences(20))
    wide = Choice(kept[0].options + kept[1].options, (0.25,) * 4, group="wide")
    losses = []
    for said in (kept, [*kept, wide]):
        settings: dict[str, Any] = {"bootstrap": Fixed(np.ones((1, len(said)))), "rng": np.random.default_rng(0)}
        losses.append(fit_reward_model(fresh(1), said, **settings, steps=1, learning_rate=0, l2=0).loss)
    model = fresh(1)
    model.freeze_inputs(torch.cat([model.encode(*_arrays(s)) for c in [*kept, wide] for s in c.options]))
    returns = model.returns(pad(wide.options))[0].astype(float)
    alone = np.log(np.exp(returns).sum()) - returns.mean()
    # Input statistics differ by the four segments that are counted twice.
    assert 21 * losses[1] == pytest.approx(20 * losses[0] + alone, rel=1e-2)


def _arrays(one: Segment) -> tuple[Array, Array, Array]:
    return one.observations[:-1], one.actions, one.observations[1:]


# Much data


def test_figures_of_much_data_are_of_a_part_evenly_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, weights = preferences(21), np.ones((1, 21))
    plain: dict[str, Any] = {"learning_rate": 0, "l2": 0, "steps": 1}
    every_fourth = list(range(0, 21, 4))
    monkeypatch.setattr(fitting, "FIGURES_MOST", 6)
    part = fit(fresh(1), kept, bootstrap=Fixed(weights), **plain)
    model = fresh(1)
    fit(model, kept, bootstrap=Fixed(weights), **plain)
    returns = model.returns(pad([s for i in every_fourth for s in kept[i].query.options])).astype(float)
    logits = returns[0, ::2] - returns[0, 1::2]
    signs = np.array([2 * kept[i].answer.target - 1 for i in every_fourth])
    assert part.n == 21
    assert part.loss == pytest.approx(-np.log(0.9 / (1 + np.exp(-signs * logits)) + 0.05).mean(), rel=1e-5)
    assert part.accuracy == pytest.approx(np.mean(signs * logits > 0))


def test_figures_are_the_same_whether_they_are_taken_at_once_or_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(fresh(), preferences(60))
    monkeypatch.setattr(descent, "AT_ONCE", 35)  # steps: 7 segments
    parts = fit(fresh(), preferences(60))
    figures = [numbers(dataclasses.replace(result, seconds=0)) for result in (whole, parts)]
    assert figures[0] == pytest.approx(figures[1], rel=1e-5)


def test_much_data_is_standardised_by_the_batch_and_fitted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, kept = fresh(), fresh(), preferences(60)
    fit(one, kept)
    monkeypatch.setattr(fitting, "FIGURES_MOST", 59)
    fit(other, kept)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_input_statistics_of_much_data_are_of_a_part_evenly_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    model, kept = fresh(), preferences(20)
    monkeypatch.setattr(fitting, "STATISTICS_MOST", 5 * 14)  # of 40 segments of 5 steps: every third
    fit(model, kept, steps=1)
    segments = [side for p in kept for side in p.query.options][::3]
    lived = np.concatenate([side.observations[:-1] for side in segments])
    np.testing.assert_allclose(model.input_mean[:2].tolist(), lived.mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("linear", [None, "quadratic"])
def test_what_the_reward_chose_itself_is_not_measured(linear: str | None) -> None:
    true, own = choices(preferences(20)), [dataclasses.replace(c, own=True) for c in choices(preferences(20, seed=1))]
    model = RewardModel(TWO, LEFT_RIGHT, ensemble_size=3, hidden=(8,), seed=0, linear=linear)
    fit = fit_reward_model(
        model, [*own[:10], *true, *own[10:]], bootstrap=Bootstrap(3, seed=0, folds=True), rng=np.random.default_rng(0)
    )
    assert fit.n == 40
    assert fit.left_out.choices.tolist() == list(range(10, 30))
