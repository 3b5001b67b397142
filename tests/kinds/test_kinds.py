"""Every registered kind keeps the contract; what a ranking tells the likelihood is that of Plackett and Luce."""

import math

import numpy as np
import pytest

from rlhf_gym.contracts import KIND_RULES, check_kind, example_queries
from rlhf_gym.kinds import choices
from rlhf_gym.kinds.comparison import COMPARISON
from rlhf_gym.kinds.ranking import RANKING
from rlhf_gym.preferences import Answer, Preference, Query, Ranking
from rlhf_gym.registry import KINDS


@pytest.mark.parametrize("rule", KIND_RULES)
@pytest.mark.parametrize("name", KINDS)
def test_kinds_keep_the_contract(name, rule):
    rule(name)


def test_the_contract_catches_a_kind_that_prefers_the_worst(monkeypatch):
    worst = COMPARISON._replace(answer=lambda worth: COMPARISON.answer([-value for value in worth]))
    monkeypatch.setattr("rlhf_gym.contracts.kinds.find_kind", lambda name: worst)
    with pytest.raises(AssertionError, match=r"makes \(0.0, 1.0\)|makes \(1.0, 0.0\)"):
        check_kind("comparison")


def ranked(options, *groups):
    queries = example_queries(6, kind="ranking")
    [query] = [query for query in queries if len(query.options) == options]
    return Preference(query, Ranking(groups)), query.options


def made(preference):
    """Choices as numbers of the options that were left, and the target over them."""
    shown = [id(segment) for segment in preference.query.options]
    return [([shown.index(id(s)) for s in choice.options], choice.target) for choice in choices([preference])]


def test_a_ranking_of_k_is_k_minus_1_choices_with_one_option_fewer_each():
    preference, _ = ranked(4, (2,), (0,), (3,), (1,))
    assert made(preference) == [([0, 1, 2, 3], (0, 0, 1, 0)), ([0, 1, 3], (1, 0, 0)), ([1, 3], (0, 1))]


def test_of_tied_options_each_is_a_choice_among_all_that_were_left():
    top, _ = ranked(3, (0, 2), (1,))
    assert made(top) == [([0, 1, 2], (0.5, 0, 0.5))] * 2
    bottom, _ = ranked(3, (1,), (0, 2))
    assert made(bottom) == [([0, 1, 2], (0, 1, 0)), ([0, 2], (0.5, 0.5))]
    all_alike, _ = ranked(3, (0, 1, 2))
    assert made(all_alike) == [([0, 1, 2], (1 / 3, 1 / 3, 1 / 3))] * 2


def test_the_probability_of_a_ranking_is_that_of_plackett_and_luce():
    preference, options = ranked(3, (1,), (2,), (0,))
    worth = {id(segment): math.log(w) for segment, w in zip(options, (1, 3, 2), strict=True)}
    likelihood = 1.0
    for choice in choices([preference]):
        odds = np.exp([worth[id(segment)] for segment in choice.options])
        likelihood *= float(np.prod((odds / odds.sum()) ** choice.target))
    assert likelihood == pytest.approx(3 / 6 * 2 / 3)  # 3 of 1 + 3 + 2, then 2 of 1 + 2


def test_ties_give_the_partial_likelihood_of_breslow():
    preference, options = ranked(3, (0, 1), (2,))
    odds = dict(zip(map(id, options), (4, 1, 5), strict=True))
    log = 0.0
    for choice in choices([preference]):
        whole = sum(odds[id(segment)] for segment in choice.options)
        for segment, share in zip(choice.options, choice.target, strict=True):
            log += share * math.log(odds[id(segment)] / whole)
    assert math.exp(log) == pytest.approx(4 / 10 * 1 / 10)


def test_a_skip_tells_nothing_whatever_was_asked():
    queries = [*example_queries(1), *example_queries(1, kind="ranking")]
    assert choices([Preference(query, Answer.SKIP) for query in queries]) == []


def test_a_ranking_is_written_briefly_and_equal_worth_is_tied():
    assert RANKING.text(RANKING.answer([3.0, 1.0, 7.0])) == "[2,0,1]"
    assert RANKING.text(RANKING.answer([1.0, 1.0, 7.0])) == "[2,[0,1]]"
    assert RANKING.parse("[2,[1,0]]", 3) == Ranking(((2,), (0, 1)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[0,1]", r"'\[0,1\]' ranks 2 options of 3; name each once, from 0"),
        ("[0,1,1]", r"'\[0,1,1\]' is no ranking \(a ranking is .*\); name each option once, best first, such as"),
        ("[0,1,3]", "expected each option once"),
        ("[0,1,true]", "True is no number of an option"),
        ("[0,[1,[2]]]", "is no number of an option"),
        ("left", "'left' is no ranking"),
        ("7", "'7' is no ranking"),
    ],
)
def test_what_is_no_ranking_is_refused_in_one_line(text, told):
    with pytest.raises(ValueError, match=told) as refused:
        RANKING.parse(text, 3)
    assert "\n" not in str(refused.value)


def test_a_ranking_seen_in_a_mirror_names_the_options_from_the_other_end():
    assert Ranking(((2,), (0, 1))).mirrored == Ranking(((0,), (1, 2)))


def test_options_are_named_left_and_right_or_by_letters():
    assert example_queries(1)[0].names == ("left", "right")
    assert ranked(4, (0,), (1,), (2,), (3,))[0].query.names == ("a", "b", "c", "d")
    assert Query(example_queries(1)[0].options[:1], id="one").names == ("a",)
