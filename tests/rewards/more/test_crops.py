"""Crops: as many lived steps of every option, and what living is worth stays what it was."""

import numpy as np
import pytest
import torch
from torch import Tensor

from rlhf_gym.errors import BadInput
from rlhf_gym.rewards.more.crops import crops

LENGTH = 20


def lived(*steps: tuple[int, ...]) -> Tensor:
    """1 for each lived step of some choices' options, shape (n, K, 20)."""
    return (torch.arange(LENGTH) < torch.tensor(steps)[..., None]).float()


def cropped(whole: Tensor, shortest: float = 0.5, seed: int = 0) -> Tensor:
    choose = crops(shortest).windows
    assert choose
    return choose(whole, np.random.default_rng(seed))


def test_both_windows_of_a_pair_are_of_one_length_inside_of_what_was_lived_and_anywhere_in_it() -> None:
    whole = lived(*[(LENGTH, LENGTH)] * 2000)
    found = cropped(whole)
    lengths = found.sum(dim=-1)
    assert (lengths[:, 0] == lengths[:, 1]).all() and (found <= whole).all()
    assert set(lengths[:, 0].int().tolist()) == set(range(10, 21))
    first = found.argmax(dim=-1)
    assert (first[:, 0] != first[:, 1]).any() and set(first.flatten().tolist()) == set(range(11))
    begins = (found[..., 1:] > found[..., :-1]).sum(dim=-1) + found[..., 0]
    assert (begins == 1).all()  # one piece


def test_what_living_is_worth_has_the_same_part_in_a_cropped_pair_as_in_the_whole_one() -> None:
    whole = lived((20, 12), (7, 20), (3, 15), (20, 1), (20, 20), (5, 5))
    for seed in range(30):
        found = cropped(whole, seed=seed)
        difference = (found[:, 0] - found[:, 1]).sum(dim=-1)  # of two sums of a reward that is 1 everywhere
        assert difference.tolist() == [8, -13, -12, 19, 0, 0]
        assert (found.sum(dim=-1) >= 1).all() and (found <= whole).all()


def test_of_a_pair_in_which_an_episode_ends_both_lose_their_first_steps() -> None:
    for seed in range(30):
        found = cropped(lived((20, 12)), seed=seed)[0]
        left_out = 20 - int(found[0].sum())
        assert found[0].tolist() == [0] * left_out + [1] * (20 - left_out)
        assert found[1].tolist() == [0] * left_out + [1] * (12 - left_out) + [0] * 8


def test_all_of_a_segment_may_be_left() -> None:
    whole = lived((20, 20), (20, 4))
    assert torch.equal(cropped(whole, shortest=1.0), whole)


@pytest.mark.parametrize("shortest", [0, -1, 1.5, float("nan")])
def test_no_other_part_of_a_segment_can_be_left(shortest: float) -> None:
    with pytest.raises(BadInput, match=r"reward\.more\.crops\.shortest is"):
        crops(shortest)
