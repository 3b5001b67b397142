"""Shares of a reward's parts."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from rlhf_gym.rewards.stacking import stacked

LEFT, BOTH = torch.tensor([[1.0, 0.0]]), torch.tensor([[True, True]])


def options(log_odds: list[float]) -> torch.Tensor:
    """Returns of two options, one such difference apart, shape (N, 2)."""
    return torch.tensor([[value, 0.0] for value in log_odds])


def test_a_part_that_foretells_the_answers_gets_a_share_and_one_that_contradicts_them_none() -> None:
    n = 30
    right, wrong = options([1.0] * n), options([-1.0] * n)
    shares = stacked(
        torch.stack([right, wrong]), LEFT.repeat(n, 1), BOTH.repeat(n, 1), torch.ones(n), np.array([1.0, 0.0])
    )
    assert shares[0] > 1 and shares[1] == 0


def test_one_that_is_too_sure_of_itself_is_cooled_down() -> None:
    # Log-odds of 4 (98 %), and right three times in four: log-odds of log 3 fit best, a share of 0.27.
    targets = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]]).repeat(50, 1)
    (share,) = stacked(options([4.0] * 200)[None], targets, BOTH.repeat(200, 1), torch.ones(200), np.array([1.0]))
    assert share == pytest.approx(np.log(3) / 4, abs=0.01)


def test_few_answers_leave_a_share_near_the_expected_one() -> None:
    (share,) = stacked(options([2.0])[None], LEFT, BOTH, torch.ones(1), np.array([1.0]))
    assert share == pytest.approx(1 + 2 * expit(-2 * share), abs=1e-4)  # slopes of prior and answer meet


def test_a_choice_counts_as_much_as_it_weighs() -> None:
    twice = stacked(options([2.0, 2.0])[None], LEFT.repeat(2, 1), BOTH.repeat(2, 1), torch.ones(2), np.array([1.0]))
    weighed = stacked(options([2.0])[None], LEFT, BOTH, torch.tensor([2.0]), np.array([1.0]))
    assert weighed == pytest.approx(twice, abs=1e-4)
