"""Which answers each member is fitted to."""

from dataclasses import replace

import numpy as np
import pytest

from rlhf_gym.preferences import Choice
from rlhf_gym.rewards import Bootstrap


def choices_of(groups: list[str]) -> list[Choice]:
    """Make choices of these groups; what was chosen doesn't matter here."""
    return [Choice((), (), group) for group in groups]


@pytest.mark.parametrize(("members", "held_out_by"), [(3, {1}), (5, {1}), (2, {0, 1}), (1, {0, 1})])
def test_in_folds_each_choice_is_held_out_by_one_member_or_by_one_of_three(members: int, held_out_by: set[int]) -> None:
    weights = Bootstrap(members, seed=0, folds=True).weights(choices_of([str(i) for i in range(300)]))
    assert set(np.unique(weights)) == {0, 1}
    assert set((weights == 0).sum(axis=0)) == held_out_by
    share = (weights == 0).mean()
    assert share == pytest.approx(1 / max(members, 3), abs=0.06)


def test_folds_stay_the_same_and_a_group_leaves_as_a_whole() -> None:
    bootstrap = Bootstrap(3, seed=0, folds=True)
    first = bootstrap.weights(choices_of(["a", "b", "a"]))
    again = Bootstrap(3, seed=0, folds=True).weights(choices_of(["b", "a"]))
    assert (first[:, 0] == first[:, 2]).all()
    assert (again == first[:, [1, 0]]).all()


def test_what_the_reward_chose_itself_is_held_out_by_none() -> None:
    own = [replace(choice, own=True, weight=0.5) for choice in choices_of([str(i) for i in range(50)])]
    assert (Bootstrap(3, seed=0).weights(own) == 0.5).all() and (
        Bootstrap(3, seed=0, folds=True).weights(own) == 0.5
    ).all()


def test_weights_of_choices_that_go_on_from_the_last_ones_are_the_same_as_anew() -> None:
    choices = [replace(choice, weight=0.5 + 0.5 * (i % 2)) for i, choice in enumerate(choices_of([*"abcabcdef"]))]
    growing = Bootstrap(3, seed=0)
    for some in (choices[:4], choices[:4], choices, choices[3:], choices[3:5], []):
        expected = Bootstrap(3, seed=0).weights(some)
        np.testing.assert_array_equal(growing.weights(some), expected)
        assert expected.shape == (3, len(some))
