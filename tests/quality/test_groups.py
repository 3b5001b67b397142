"""Groups with opposite goals, found among simulated people: statistics on fixed seeds."""

import json

import numpy as np
import pytest
from scipy.special import expit

from rlhf_gym.preferences import Answer, Query
from rlhf_gym.quality import Groups, QualityReport, Share, find_groups
from rlhf_gym.segments import Segment

ONE, OTHER = 1.0, -1.0


def segment(x):
    observations = np.concatenate([x[:1], x]).astype(np.float32)
    return Segment(observations, np.zeros(len(x), np.int64), np.zeros(len(x)), len(x), False, np.zeros(0, np.int64))


def said(wants, n=40, *, seed=0, beta=2.0, shared=False):
    """What people who want to be at x answer, each to n pairs of their own, or all to the same; None is a coin."""
    rng = np.random.default_rng(seed)
    found = {who: [] for who in wants}
    for number in range(n if shared else n * len(wants)):
        states = rng.normal(size=(2, 5, 3))
        states[..., 0] += rng.normal(size=(2, 1))
        query = Query(tuple(map(segment, states)), id=str(number))
        for who in wants if shared else [list(wants)[number % len(wants)]]:
            worth = np.zeros(2) if wants[who] is None else -np.abs(states[..., 0] - wants[who]).sum(axis=1)
            left = rng.random() < expit(beta * (worth[0] - worth[1]))
            found[who].append((query, Answer.LEFT if left else Answer.RIGHT))
    return found


@pytest.mark.parametrize("shared", [False, True], ids=["own pairs", "the same pairs"])
@pytest.mark.parametrize("seed", range(2))
def test_three_who_want_one_thing_and_two_who_want_the_opposite_are_told_apart(seed, shared):
    groups = find_groups(said({"d": OTHER, "a": ONE, "b": ONE, "e": OTHER, "c": ONE}, seed=seed, shared=shared))
    assert groups.clear and groups.agree < 0.5
    assert {who for who, p in groups.members.items() if p[0] > 0.99} == {"a", "b", "c"}
    assert {who for who, p in groups.members.items() if p[1] > 0.99} == {"d", "e"}


@pytest.mark.parametrize("seed", range(6))
def test_no_groups_are_seen_where_all_want_the_same(seed):
    groups = find_groups(said(dict.fromkeys("abcde", ONE), seed=seed, shared=bool(seed % 2)))
    assert not groups.clear and groups.evidence < 0 and groups.agree > 0.6


@pytest.mark.parametrize("seed", range(3))
def test_a_coin_among_them_is_no_group(seed):
    groups = find_groups(said({"a": ONE, "b": ONE, "c": ONE, "coin": None}, seed=seed))
    assert not groups.clear


def test_somebody_who_answers_by_a_coin_is_in_neither_of_two_groups():
    groups = find_groups(said({"a": ONE, "b": ONE, "c": OTHER, "d": OTHER, "coin": None}))
    assert groups.clear and max(groups.members["coin"]) < 0.5 and sum(groups.members["coin"]) < 0.8
    assert {who for who, p in groups.members.items() if max(p) > 0.99} == set("abcd")


def test_two_people_may_be_two_groups():
    groups = find_groups(said({"a": ONE, "b": OTHER}, 80, shared=True))
    assert groups.clear and {p.index(max(p)) for p in groups.members.values()} == {0, 1}


def test_of_many_people_those_who_answered_most_are_looked_at():
    answers = said(dict.fromkeys("abcdefghij", ONE), 4)
    answers["j"] = answers["j"][:1]
    answers["a"] = answers["a"][:2]
    assert set(find_groups(answers).members) == set("bcdefghi")


def test_of_one_person_nothing_is_told():
    assert find_groups({}) is None and find_groups(said({"a": ONE}, 5)) is None


def report(groups):
    nothing = Share(0, 0)
    return QualityReport((), None, 0, nothing, nothing, nothing, groups=groups)


def test_the_report_names_both_groups_where_that_is_beyond_doubt():
    members = {"ann": (1.0, 0.0), "bob\n": (0.98, 0.02), "carl": (0.01, 0.99), "coin": (0.1, 0.2)}
    text = report(Groups(members, 23.1, 0.25)).as_text()
    assert "two groups want different things: ann (100%), bob\\n (98%) and carl (99%)" in text
    assert "agree on 25% of the pairs" in text and "10^10 times less probable" in text
    doubtful = report(Groups(members, 4.9, 0.25)).as_text()
    assert "not to be seen" in doubtful and "carl" not in doubtful
    assert "groups" not in report(None).as_text()
    plain = json.loads(json.dumps(report(Groups(members, 23.1, 0.25)).as_dict()))["groups"]
    assert plain == {
        "members": {who: list(p) for who, p in members.items()},
        "evidence": 23.1,
        "agree": 0.25,
        "clear": True,
    }
