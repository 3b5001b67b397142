"""The contrastive loss, by hand."""

import math

import pytest
import torch

from rlhf_gym.methods.contrast import contrastive_loss
from rlhf_gym.rewards import choice_loss


def loss(scores, target, **settings):
    scores, target = torch.tensor([scores]), torch.tensor([target])
    return contrastive_loss(scores, target, torch.ones(scores.shape, dtype=torch.bool), **settings).item()


@pytest.mark.parametrize(
    ("scores", "target", "bias", "expected"),
    [
        ([1.0, 2.0], [1.0, 0.0], 0.5, math.log(2)),  # -log sigmoid(1 - 0.5 * 2)
        ([1.0, 2.0], [0.0, 1.0], 0.5, math.log(1 + math.exp(-1.5))),  # -log sigmoid(2 - 0.5 * 1)
        ([1.0, 2.0], [0.5, 0.5], 0.5, (math.log(2) + math.log(1 + math.exp(-1.5))) / 2),
        ([1.0, 2.0, 4.0], [1.0, 0.0, 0.0], 0.5, math.log(2 + math.e)),  # e / (e + e + e²)
        ([-4.0, -6.0], [1.0, 0.0], 1.0, math.log(1 + math.exp(-2))),
    ],
)
def test_what_was_not_chosen_counts_as_much_as_the_bias_says(scores, target, bias, expected):
    assert loss(scores, target, bias=bias) == pytest.approx(expected)


@pytest.mark.parametrize("label_noise", [0.0, 0.1])
def test_without_bias_it_is_the_likelihood_of_choices_also_of_fewer_options(label_noise):
    generator = torch.Generator().manual_seed(0)
    scores, targets = torch.randn(6, 3, generator=generator), torch.tensor([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0]] * 3)
    offered = torch.tensor([[True, True, False], [True, True, True]] * 3)
    expected = choice_loss(scores[None], targets, offered, label_noise=label_noise)[0]
    torch.testing.assert_close(contrastive_loss(scores, targets, offered, label_noise=label_noise), expected)


def test_with_bias_the_loss_falls_as_everything_seen_becomes_likelier():
    assert loss([-3.0, -5.0], [1.0, 0.0], bias=0.5) > loss([-2.0, -4.0], [1.0, 0.0], bias=0.5)
    assert loss([-3.0, -5.0], [1.0, 0.0]) == pytest.approx(loss([-2.0, -4.0], [1.0, 0.0]))


def test_an_option_that_was_not_offered_takes_no_part_and_no_gradient_is_nan():
    scores = torch.tensor([[1.0, 2.0, 9.0]], requires_grad=True)
    offered, target = torch.tensor([[True, True, False]]), torch.tensor([[1.0, 0.0, 0.0]])
    found = contrastive_loss(scores, target, offered, bias=0.5)
    found.sum().backward()
    assert found.item() == pytest.approx(math.log(2))
    assert scores.grad.tolist() == [[-0.5, 0.25, 0.0]]
