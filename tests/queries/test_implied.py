"""What lists imply, and that nothing that follows from a held-out answer is fitted to."""

import numpy as np
import pytest

from rlhf_gym.kinds import choices
from rlhf_gym.preferences import Answer, Choice, Preference, Query
from rlhf_gym.queries import Insertion
from rlhf_gym.queries.implied import with_implied
from rlhf_gym.queries.ranked_list import list_name
from rlhf_gym.rewards.bootstrap import Bootstrap
from tests.queries.test_insertion import ask
from tests.queries.test_ranked_list import EPISODE, said


def told(preferences, weigh="answers"):
    return with_implied(preferences, choices(preferences), weigh=weigh)


def facts(found):
    return [(choice.options[0].start, choice.options[1].start, choice.target) for choice in found]


def test_a_pair_that_nobody_was_asked_about_becomes_a_choice():
    found = told(said("5>2 7>5 3<5 3=2"))
    asked = [(5, 2, (1, 0)), (7, 5, (1, 0)), (3, 5, (0, 1)), (3, 2, (0.5, 0.5))]
    assert facts(found) == [*asked, (2, 7, (0, 1)), (7, 3, (1, 0))]
    assert [choice.sided for choice in found] == [True] * 4 + [False] * 2


def test_what_follows_from_a_tie_is_a_tie():
    assert facts(told(said("5=2 7=5")))[2:] == [(2, 7, (0.5, 0.5))] or facts(told(said("5=2 7=5")))[2:] == [
        (5, 7, (0.5, 0.5))
    ]


@pytest.mark.parametrize(("weigh", "each", "total"), [("answers", 4 / 6, 4), ("pairs", 1, 6)])
def test_a_list_counts_as_its_answers_or_as_its_pairs(weigh, each, total):
    found = told(said("5>2 7>5 3<5 3>2"), weigh)
    assert [choice.weight for choice in found] == pytest.approx([each] * 6)
    assert sum(choice.weight for choice in found) == pytest.approx(total)


def test_other_answers_stay_as_they_are():
    other = Preference(Query((EPISODE.cut(1, 2), EPISODE.cut(8, 2)), "other"), Answer.LEFT)
    alone = choices([other])
    found = with_implied([other, *said("5>2 7>5")], [*alone, *choices(said("5>2 7>5"))], weigh="answers")
    assert found[0] is alone[0] and len(found) == 4
    assert with_implied([other], alone, weigh="answers") == alone


def test_a_choice_that_several_people_imply_is_nobodys():
    alone = told(said("5>2 7>5", teacher="ann"))
    assert [choice.teacher for choice in alone] == ["ann"] * 3
    both = told([*said("5>2", teacher="ann"), *said("7>5", teacher="bob", first=1)])
    assert [choice.teacher for choice in both] == ["ann", "bob", ""]


def test_a_repeat_of_a_query_is_held_out_with_its_list():
    asked = said("5>2 7>5")
    repeat = Preference(
        Query(asked[0].query.options[::-1], "again", why="mirrored", repeats=asked[0].query.id), Answer.RIGHT
    )
    assert {choice.group for choice in told([*asked, repeat])} == {list_name(asked[0].query)}


@pytest.mark.parametrize("folds", [False, True])
def test_nothing_that_follows_from_a_held_out_answer_is_fitted_to(folds):
    rng = np.random.default_rng(2)
    preferences = ask(Insertion(lists=4, comparisons=12), 90, answer=lambda query: list(Answer)[rng.integers(3)])
    found = told(preferences)
    assert len(found) > 110
    weights = Bootstrap(3, seed=4, folds=folds).weights(found)
    for member in weights:
        assert 0 < (member > 0).mean() < 1
        fitted = [choice for choice, weight in zip(found, member, strict=True) if weight > 0]
        heldout = {pair(choice) for choice, weight in zip(found, member, strict=True) if weight == 0}
        alone = [p for p in preferences if pair(choices([p])[0]) not in heldout]
        # It knows what the answers alone that it is fitted to imply, and nothing else.
        assert {pair(choice) for choice in fitted} == {pair(choice) for choice in told(alone)}


def pair(choice: Choice) -> frozenset:
    return frozenset(option.start for option in choice.options)
