"""How probable an answer is: against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from rlhf_gym.rewards import RewardModel, accuracy, choice_loss
from rlhf_gym.rewards.likelihood import smooth
from rlhf_gym.segments import Array, Segment, pad

PAIR = torch.tensor([[True, True]])


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def between_two(logits: Tensor, targets: Tensor, *, label_noise: float = 0.0) -> Tensor:
    """Loss of choices between two, by the log-odds that left is preferred; both of shape (N,) or (M, N)."""
    returns = torch.stack([logits, torch.zeros_like(logits)], dim=-1)
    both = torch.stack([targets, 1 - targets], dim=-1)
    if alone := returns.ndim == 2:
        returns = returns[None]
    loss = choice_loss(returns, both, torch.ones(both.shape, dtype=torch.bool), label_noise=label_noise)
    return loss[0] if alone else loss


def test_the_likelihood_is_about_the_difference_of_returns() -> None:
    # As in 23 against 43.5: whatever both have in common falls out.
    target = torch.tensor([[1.0, 0.0]])
    losses = [choice_loss(torch.tensor([[pair]]), target, PAIR).item() for pair in ([23.0, 43.5], [0.0, 20.5])]
    assert losses == pytest.approx([20.5, 20.5])


def test_log_odds_of_many_members_and_choices_come_in_one_call() -> None:
    returns = torch.tensor([7.0, 0.0]).repeat(3, 5, 1)
    returns[2, 4, 0] = 14
    loss = choice_loss(returns, torch.tensor([0.0, 1.0]).repeat(5, 1), PAIR.repeat(5, 1))
    assert loss.shape == (3, 5)
    # log(1 + e^7) = 7.000911, log(1 + e^14) = 14.0000008
    assert loss[2].tolist() == pytest.approx([7.000911, 7.000911, 7.000911, 7.000911, 14.0000008], rel=1e-6)


@pytest.mark.parametrize(
    ("logit", "target", "loss"),
    [
        (0.0, 1.0, math.log(2)),
        (math.log(3), 1.0, -math.log(0.75)),  # odds of 3 to 1
        (math.log(3), 0.0, -math.log(0.25)),
        (math.log(3), 0.5, -0.5 * math.log(0.75) - 0.5 * math.log(0.25)),
        (0.0, 0.5, math.log(2)),  # the least a tie can cost
    ],
)
def test_the_loss_is_the_negative_log_of_the_probability_of_the_answer(
    logit: float, target: float, loss: float
) -> None:
    assert between_two(torch.tensor([logit]), torch.tensor([target])).item() == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("logit", [-3.0, -0.2, 0.0, 1.0, 4.0])
def test_with_a_tenth_of_random_answers_left_has_probability_nine_tenths_p_plus_a_twentieth(logit: float) -> None:
    probability = 0.9 * sigmoid(logit) + 0.05
    for target, expected in [
        (1.0, -math.log(probability)),
        (0.0, -math.log(1 - probability)),
        (0.5, -0.5 * math.log(probability) - 0.5 * math.log(1 - probability)),
    ]:
        loss = between_two(torch.tensor([logit]), torch.tensor([target]), label_noise=0.1)
        assert loss.item() == pytest.approx(expected, rel=1e-5)


def losses_and_gradients(logits: list[float], target: float, label_noise: float) -> tuple[Tensor, Tensor]:
    points = torch.tensor(logits, requires_grad=True)
    losses = between_two(points, torch.full_like(points, target), label_noise=label_noise)
    (gradients,) = torch.autograd.grad(losses.sum(), points)
    return losses.detach(), gradients


@pytest.mark.parametrize("label_noise", [0, 0.1, 1])
@pytest.mark.parametrize("target", [0.0, 0.5, 1.0])
def test_the_loss_and_its_gradient_are_finite_at_extreme_log_odds(label_noise: float, target: float) -> None:
    losses, gradients = losses_and_gradients([-1000.0, -100.0, 0.0, 100.0, 1000.0], target, label_noise)
    assert losses.isfinite().all() and gradients.isfinite().all()


def test_without_random_answers_a_wrong_answer_costs_its_log_odds() -> None:
    losses, gradients = losses_and_gradients([-1000.0, 1000.0], 1.0, 0)
    assert losses.tolist() == [1000, 0]
    assert gradients.tolist() == [-1, 0]


def test_random_answers_cap_what_a_wrong_answer_costs() -> None:
    losses, gradients = losses_and_gradients([-1000.0, 1000.0], 1.0, 0.1)
    assert losses.tolist() == pytest.approx([-math.log(0.05), -math.log(0.95)], rel=1e-5)
    assert gradients.tolist() == [0, 0]


def test_if_all_answers_are_random_nothing_can_be_learned_from_them() -> None:
    losses, gradients = losses_and_gradients([-1000.0, -1.0, 0.0, 1000.0], 1.0, 1)
    assert losses.tolist() == pytest.approx([math.log(2)] * 4, rel=1e-6)
    assert gradients.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("label_noise", [0, 0.1])
def test_targets_are_shared_among_members(label_noise: float) -> None:
    logits, targets = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([1.0, 0, 0.5, 1])
    losses = between_two(logits, targets, label_noise=label_noise)
    each = [between_two(member, targets, label_noise=label_noise) for member in logits]
    assert torch.equal(losses, torch.stack(each))


# More options than two

E = math.e


def test_of_three_options_each_has_its_exponential_share() -> None:
    returns = torch.tensor([[[1.0, 0.0, -1.0]]])
    shares = np.array([E, 1, 1 / E]) / (E + 1 + 1 / E)
    for i, share in enumerate(shares):
        target = torch.eye(3)[i : i + 1]
        loss = choice_loss(returns, target, torch.ones(1, 3, dtype=torch.bool))
        assert loss.tolist() == [[pytest.approx(-math.log(share), rel=1e-6)]]
        erring = choice_loss(returns, target, torch.ones(1, 3, dtype=torch.bool), label_noise=0.3)
        assert erring.item() == pytest.approx(-math.log(0.7 * share + 0.1), rel=1e-6)


def test_a_target_may_be_shared_among_options() -> None:
    returns, target = torch.tensor([[[1.0, 0.0, -1.0]]]), torch.tensor([[0.25, 0.75, 0.0]])
    # -0.25 log(e / z) - 0.75 log(1 / z) = log z - 0.25
    loss = choice_loss(returns, target, torch.ones(1, 3, dtype=torch.bool)).item()
    assert loss == pytest.approx(math.log(E + 1 + 1 / E) - 0.25, rel=1e-6)


def test_a_ranking_of_three_is_plackett_luce() -> None:
    # Of worth 2, 0 and -1 in this order: first among three, then first among the two that are left.
    returns = torch.tensor([[[2.0, 0.0, -1.0], [0.0, -1.0, 50.0]]])
    targets = torch.tensor([[1.0, 0, 0], [1.0, 0, 0]])
    offered = torch.tensor([[True, True, True], [True, True, False]])
    first, second = E**2 / (E**2 + 1 + 1 / E), 1 / (1 + 1 / E)
    loss = choice_loss(returns, targets, offered)
    assert loss[0].tolist() == pytest.approx([-math.log(first), -math.log(second)], rel=1e-6)


@pytest.mark.parametrize("label_noise", [0, 0.1, 1])
def test_what_is_not_offered_is_as_if_it_were_not_there(label_noise: float) -> None:
    generator = torch.Generator().manual_seed(0)
    returns, targets = torch.randn(2, 6, 2, generator=generator), torch.tensor([[1.0, 0.0]] * 5 + [[0.5, 0.5]])
    padded = torch.cat([returns, 100 * torch.randn(2, 6, 2, generator=generator)], dim=-1).requires_grad_()
    offered = torch.tensor([[True, True, False, False]]).repeat(6, 1)
    losses = choice_loss(padded, torch.cat([targets, torch.zeros(6, 2)], dim=1), offered, label_noise=label_noise)
    plain = choice_loss(returns, targets, offered[:, :2], label_noise=label_noise)
    torch.testing.assert_close(losses, plain, rtol=1e-5, atol=1e-6)  # of two and of four options: to rounding
    (gradients,) = torch.autograd.grad(losses.sum(), padded)
    assert gradients.isfinite().all() and (gradients[..., 2:] == 0).all()


@pytest.mark.parametrize("label_noise", [0, 0.1, 1])
@pytest.mark.parametrize("k", [2, 3])
def test_a_choice_among_one_option_tells_nothing(k: int, label_noise: float) -> None:
    returns = torch.tensor([[[-5.0, 3.0, 1.0][:k]]], requires_grad=True)
    offered, target = torch.tensor([[True, False, False][:k]]), torch.tensor([[1.0, 0.0, 0.0][:k]])
    loss = choice_loss(returns, target, offered, label_noise=label_noise)
    (gradients,) = torch.autograd.grad(loss.sum(), returns)
    assert loss.tolist() == [[pytest.approx(0, abs=1e-6)]] and not gradients.any()


# Accuracy


def test_an_answer_is_right_wrong_or_one_half_for_ties_and_for_even_odds() -> None:
    logits = torch.tensor([2.0, -2.0, 2.0, -2.0, 3.0, 0.0, 0.0, 0.0])
    targets = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.5, 1.0, 0.0, 0.5])
    returns, both = torch.stack([logits, 0 * logits], dim=-1), torch.stack([targets, 1 - targets], dim=-1)
    figures = accuracy(returns.expand(2, -1, -1), both, PAIR.repeat(8, 1))
    assert figures.shape == (2, 8)
    assert figures[0].tolist() == figures[1].tolist() == [1, 0, 0, 1, 0.5, 0.5, 0.5, 0.5]


def test_of_three_options_the_highest_return_is_the_models_own_answer() -> None:
    returns = torch.tensor([[[3.0, 1.0, 2.0], [3.0, 3.0, 2.0], [1.0, 1.0, 1.0], [1.0, 2.0, 9.0]]])
    targets = torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]])
    offered = torch.tensor([[True, True, True]] * 3 + [[True, True, False]])
    assert accuracy(returns, targets, offered).tolist() == [[1, 0.5, pytest.approx(1 / 3), 1]]


# What goes into it


def walked(positions: list[float], length: int) -> Segment:
    """A segment that observes its positions and terminates if it is shorter than `length`."""
    lived = len(positions) - 1
    observations = np.zeros((lived + 1, 4), np.float32)
    observations[:, 0] = positions
    actions: Array = np.zeros(lived, np.int64)
    return Segment(observations, actions, np.zeros(lived), length, lived < length, earlier_actions=actions[:0])


def test_returns_are_sums_over_lived_steps() -> None:
    model = RewardModel(spaces.Box(-9, 9, (4,)), spaces.Discrete(2), ensemble_size=1, hidden=(), inputs="observation")
    with torch.no_grad():  # The reward is 10 + position, so that a padded step, where the position reads 0, shows as 10
        model.ensemble.weights[0][:] = torch.tensor([[[1.0], [0], [0], [0]]])
        model.ensemble.biases[0][:] = 10
    left, right = walked([1, 2, 99], 4), walked([0.5, 1, 1, 1, 99], 4)
    # 11 + 12 = 23 against 10.5 + 11 + 11 + 11 = 43.5
    assert model.returns(pad([left, right])).tolist() == [[23, 43.5]]


def test_smoothed_labels_give_each_option_its_part() -> None:
    targets, offered = (
        torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]),
        torch.tensor([[True, True, True], [True, True, False]]),
    )
    assert smooth(targets, offered, 0.3).flatten().tolist() == pytest.approx([0.8, 0.1, 0.1, 0.5, 0.5, 0.0])
    assert smooth(targets, offered, 0) is targets
