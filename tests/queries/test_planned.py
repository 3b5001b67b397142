from collections import Counter

import numpy as np
import pytest

from rlhf_gym.preferences import CHECK, MIRRORED, REPEAT, Answer, Preference
from rlhf_gym.queries import make_checks, make_planned, make_repeats, sample_candidates
from rlhf_gym.segments import Ending, Trajectory


def episode(windows):
    """A terminated episode with a number of windows; a window is known by its start, which is observed there."""
    return Trajectory(np.arange(windows + 1.0)[:, None], np.zeros(windows), np.zeros(windows), Ending.TERMINATED)


def answered(n, answer=Answer.LEFT, seed=0):
    queries = sample_candidates([episode(20)], length=2, n=n, rng=np.random.default_rng(seed)).queries()
    return [Preference(query, answer) for query in queries]


def repeat(preferences, n, seed=0):
    return make_repeats(preferences, n, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_repeats_ask_answered_queries_again_and_every_second_one_mirrored(n):
    told = answered(10)
    originals = {preference.query.id: preference.query for preference in told}
    again = repeat(told, n)
    assert abs(Counter(query.why for query in again)[MIRRORED] - n / 2) <= 0.5
    assert len({query.repeats for query in again}) == n == len({query.id for query in again} - set(originals))
    assert {query.why for query in again} <= {REPEAT, MIRRORED}
    for query in again:
        left, right = originals[query.repeats].left, originals[query.repeats].right
        assert (query.left, query.right) == ((right, left) if query.why == MIRRORED else (left, right))


def test_an_odd_repeat_is_mirrored_as_often_as_not():
    mirrored = sum(repeat(answered(3), 1, seed)[0].why == MIRRORED for seed in range(400))
    assert 160 < mirrored < 240  # four standard deviations


def test_every_answered_query_is_repeated_equally_often():
    told = answered(4)
    drawn = Counter(repeat(told, 1, seed)[0].repeats for seed in range(400))
    assert set(drawn) == {p.query.id for p in told} and max(drawn.values()) < 135  # four standard deviations


def test_what_was_repeated_before_is_not_repeated_again():
    told = answered(4)
    told += [Preference(query, Answer.TIE) for query in repeat(told, 3)]
    [last] = repeat(told, 4, seed=1)
    assert {last.repeats} == {p.query.id for p in told[:4]} - {p.query.repeats for p in told[4:]}


def test_skipped_queries_and_checks_are_not_repeated():
    told = answered(3, Answer.SKIP) + [Preference(check, Answer.LEFT) for check in check_pairs(3)]
    assert repeat(told, 3) == []


def test_a_query_that_two_people_answered_is_repeated_once():
    told = answered(1)
    assert len(repeat(told + told, 2)) == 1


def check_pairs(n, step_scores=None, windows=6, candidates_per_query=10**6):
    """Checks on an episode; by default all members are the surer of the later start the more it is later."""

    def later(observations, actions, next_observations):
        return np.stack([observations[:, 0] / 5, observations[:, 0] / 10])

    return make_checks(
        [episode(windows)],
        length=1,
        n=n,
        candidates_per_query=candidates_per_query,
        step_scores=step_scores or later,
        rng=np.random.default_rng(0),
    )


def test_checks_are_the_pairs_whose_least_certain_member_is_most_certain():
    # Starts 0 to 5: one pair five apart, two pairs four apart. The less certain member's log-odds are gap / 10.
    found = check_pairs(3)
    assert sorted(abs(query.left.start - query.right.start) for query in found) == [4, 4, 5]
    assert {query.why for query in found} == {CHECK}
    for query in found:
        assert query.value == pytest.approx(np.tanh((query.left.start - query.right.start) / 20))


def test_a_pair_on_which_members_take_sides_or_stay_even_is_no_check():
    def quarrel(observations, actions, next_observations):
        start = observations[:, 0]
        return np.stack([start, np.where(start == 5, 0.2, 0.0)])  # of one mind only on what 5 is compared with

    found = check_pairs(20, quarrel)
    assert sorted(min(query.left.start, query.right.start) for query in found) == [0, 1, 2, 3, 4]
    assert {max(query.left.start, query.right.start) for query in found} == {5}


def test_certain_members_make_certain_checks():
    def sure(observations, actions, next_observations):
        return np.stack([1000 * observations[:, 0]] * 3)

    assert {abs(query.value) for query in check_pairs(3, sure)} == {1}


def test_no_more_candidates_are_looked_at_than_asked_for():
    # Of 15 pairs 6 are looked at: the surest of all is then found in 2 of 5 draws.
    found = [
        make_checks(
            [episode(6)], length=1, n=1, candidates_per_query=6, rng=np.random.default_rng(seed),
            step_scores=lambda observations, *_: observations.T,
        )[0]
        for seed in range(400)
    ]  # fmt: skip
    surest = sum(abs(query.left.start - query.right.start) == 5 for query in found)
    assert abs(surest - 160) < 49  # 5 standard deviations of Binomial(400, 2/5)


def test_equal_shares_of_repeats_and_checks_are_counted_apart():
    told = answered(10)
    how = {"length": 1, "candidates_per_query": 10, "step_scores": lambda observations, *_: observations.T}
    planned = make_planned(told, [episode(20)], 10, repeats=0.2, checks=0.2, rng=np.random.default_rng(0), **how)
    kinds = Counter(query.why for query in planned)
    assert kinds[REPEAT] + kinds[MIRRORED] == 4 and kinds[CHECK] == 4


@pytest.mark.parametrize(("n", "windows"), [(0, 6), (2, 1)])
def test_without_pairs_or_without_need_there_are_no_checks(n, windows):
    assert check_pairs(n, windows=windows) == []
