"""How probable an answer is: against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from rlhf_gym.rewards import agreement, preference_logits, preference_loss
from rlhf_gym.segments import Segment, pad


def walked(positions: list[float], length: int) -> Segment:
    """A segment that observes its positions and terminates if it is shorter than `length`."""
    lived = len(positions) - 1
    return Segment(
        observations=np.array(positions, np.float32)[:, None],
        actions=np.zeros(lived, np.int64),
        rewards=np.zeros(lived),
        length=length,
        terminated=lived < length,
        earlier_actions=np.zeros(0, np.int64),
    )


def sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_the_log_odds_are_the_difference_of_sums_over_lived_steps() -> None:
    # The reward is 10 + position, so that a padded step, where the position reads 0, would show as 10.
    left, right = pad([walked([1, 2, 99], 4)]), pad([walked([0.5, 1, 1, 1, 99], 4)])
    rewards = [torch.from_numpy((10 + side.observations[..., 0]) * side.weights) for side in (left, right)]
    # 11 + 12 = 23 against 10.5 + 11 + 11 + 11 = 43.5
    assert preference_logits(*rewards).tolist() == [-20.5]
    assert preference_logits(*rewards[::-1]).tolist() == [20.5]


def test_log_odds_of_many_members_and_queries_come_in_one_call() -> None:
    left, right = torch.ones(3, 5, 7), torch.zeros(3, 5, 7)
    left[2, 4] = 2
    logits = preference_logits(left, right)
    assert logits.shape == (3, 5)
    assert logits[2].tolist() == [7, 7, 7, 7, 14]


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
    assert preference_loss(torch.tensor([logit]), torch.tensor([target])).item() == pytest.approx(loss, rel=1e-6)


@pytest.mark.parametrize("logit", [-3.0, -0.2, 0.0, 1.0, 4.0])
def test_with_a_tenth_of_random_answers_left_has_probability_nine_tenths_p_plus_a_twentieth(logit: float) -> None:
    probability = 0.9 * sigmoid(logit) + 0.05
    for target, expected in [
        (1.0, -math.log(probability)),
        (0.0, -math.log(1 - probability)),
        (0.5, -0.5 * math.log(probability) - 0.5 * math.log(1 - probability)),
    ]:
        loss = preference_loss(torch.tensor([logit]), torch.tensor([target]), random_share=0.1)
        assert loss.item() == pytest.approx(expected, rel=1e-5)


def losses_and_gradients(logits: list[float], target: float, random_share: float) -> tuple[Tensor, Tensor]:
    points = torch.tensor(logits, requires_grad=True)
    losses = preference_loss(points, torch.full_like(points, target), random_share=random_share)
    (gradients,) = torch.autograd.grad(losses.sum(), points)
    return losses.detach(), gradients


@pytest.mark.parametrize("random_share", [0, 0.1, 1])
@pytest.mark.parametrize("target", [0.0, 0.5, 1.0])
def test_the_loss_and_its_gradient_are_finite_at_extreme_log_odds(random_share: float, target: float) -> None:
    losses, gradients = losses_and_gradients([-1000.0, -100.0, 0.0, 100.0, 1000.0], target, random_share)
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


@pytest.mark.parametrize("random_share", [0, 0.1])
def test_targets_are_shared_among_members(random_share: float) -> None:
    logits, targets = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([1.0, 0, 0.5, 1])
    losses = preference_loss(logits, targets, random_share=random_share)
    each = [preference_loss(member, targets, random_share=random_share) for member in logits]
    assert torch.equal(losses, torch.stack(each))


def test_an_answer_is_right_wrong_or_one_half_for_ties_and_for_even_odds() -> None:
    logits = torch.tensor([2.0, -2.0, 2.0, -2.0, 3.0, 0.0, 0.0, 0.0])
    targets = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.5, 1.0, 0.0, 0.5])
    assert agreement(logits, targets).tolist() == [1, 0, 0, 1, 0.5, 0.5, 0.5, 0.5]
    assert agreement(logits.expand(2, -1), targets).shape == (2, 8)
