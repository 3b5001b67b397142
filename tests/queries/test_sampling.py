from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from rlhf_gym.preferences import REPEAT
from rlhf_gym.queries import (
    AskedBefore,
    choose_queries,
    count_queries,
    due,
    make_checks,
    make_repeats,
    runs_into_termination,
    sample_candidates,
)
from rlhf_gym.queries.sampling import Groups
from rlhf_gym.queries.schemes.uniform import uniform
from rlhf_gym.segments import Ending, Origin, Trajectory


def episode(steps, ending=Ending.TERMINATED, seed=1):
    """An episode; a window is known by its seed and start, which is observed there."""
    return Trajectory(np.arange(steps + 1.0)[:, None], np.zeros(steps), np.zeros(steps), ending, Origin("E", seed))


def names(queries):
    """The windows of each query, in any order."""
    return [frozenset((option.origin.seed, option.start) for option in query.options) for query in queries]


def sample(episodes, n, seed=0, **how):
    return sample_candidates(episodes, length=2, n=n, rng=np.random.default_rng(seed), **how).queries()


def choose(episodes, n, seed=0, **how):
    how = {"scheme": uniform(), "candidates_per_query": 3, "length": 2} | how
    return choose_queries(episodes, n=n, rng=np.random.default_rng(seed), **how)


# Nothing is asked twice


@pytest.mark.parametrize("options", [2, 3])
def test_what_was_asked_is_not_drawn_again_in_any_order(options):
    episodes = [episode(4), episode(3, seed=2)]  # seven windows: 21 pairs, 35 groups of three
    groups = len(list(combinations(range(7), options)))
    asked = []
    for seed in range(groups):
        new = sample(episodes, 1, seed, options=options, asked=asked)
        asked += [replace(query, options=query.options[::-1]) for query in new]
    assert len(set(names(asked))) == groups == len(asked)
    assert count_queries(episodes, 2, options, asked=asked) == 0


def test_queries_of_episodes_that_are_gone_are_not_looked_at_again(monkeypatch):
    """As episodes come and go, what is still there is found as by looking through all that was ever asked."""
    before, asked, looked_at = AskedBefore(), [], []
    place = Groups._place
    monkeypatch.setattr(Groups, "_place", lambda groups, option: looked_at.append(option) or place(groups, option))
    for latest in range(12):
        episodes = [episode(4, seed=seed) for seed in range(latest, latest + 3)]
        there = before.there(asked, episodes, 2)
        remembered = set(range(latest, latest + 3))
        assert there == [q for q in asked if {option.origin.seed for option in q.options} <= remembered]
        for way in ({}, {"options": 3}, {"terminated": True}):
            few, all_of_them = (Groups(episodes, 2, asked=queries, **way) for queries in (there, asked))
            np.testing.assert_array_equal(few.taken, all_of_them.taken)
        looked_at.clear()
        asked += sample(episodes, 8, seed=latest, asked=there) + sample(episodes, 2, latest, options=3, asked=there)
    looked_at.clear()
    before.there(asked, [episode(4, seed=seed) for seed in (12, 13, 14)], 2)
    assert len(looked_at) < 60  # of 264 options


@pytest.mark.parametrize("options", [2, 3])
def test_all_that_is_left_can_be_asked_at_once_each_once(options):
    episodes = [episode(6)]
    asked = sample(episodes, 8, options=options)
    left = sample(episodes, count_queries(episodes, 2, options) - 8, 1, options=options, asked=asked)
    assert len(set(names([*asked, *left]))) == len(asked) + len(left) == count_queries(episodes, 2, options)


def test_what_is_left_is_drawn_uniformly():
    asked = sample([episode(4)], 3)
    counts = Counter(name for seed in range(400) for name in names(sample([episode(4)], 1, seed, asked=asked)))
    assert set(counts).isdisjoint(names(asked)) and len(counts) == 3
    assert all(abs(count - 400 / 3) < 48 for count in counts.values())  # 5 standard deviations of Binomial(400, 1/3)


def test_a_draw_that_hits_nothing_asked_is_the_draw_without():
    episodes = [episode(300)]
    asked = sample(episodes, 1, seed=7)
    assert names(sample(episodes, 5, asked=asked)) == names(sample(episodes, 5))


def test_what_is_recorded_no_more_is_no_matter():
    asked = sample([episode(6, seed=9)], 10)
    assert count_queries([episode(6)], 2, asked=asked) == 15
    half = [replace(q, options=(q.left, episode(6).cut(0, 2))) for q in asked]  # one window is there, the other isn't
    assert count_queries([episode(6)], 2, asked=half) == 15


def test_windows_of_another_length_or_number_are_others():
    asked = sample_candidates([episode(6)], length=3, n=5, rng=np.random.default_rng(0)).queries()
    asked += sample([episode(6)], 5, options=3)
    assert count_queries([episode(6)], 2, asked=asked) == 15


def test_a_window_is_known_again_when_its_episode_has_gone_on():
    asked = sample([episode(5, Ending.UNFINISHED)], 6)  # all pairs of the four windows
    assert count_queries([episode(9)], 2, asked=asked) == 36 - 6


def test_fewer_than_wanted_are_refused_with_how_many_were_asked():
    asked = sample([episode(5)], 4)
    with pytest.raises(ValueError, match=r"7 queries .* 5 segments .* 6 pairs that weren't asked before \(4 were\)"):
        choose([episode(5)], 7, asked=asked)
    assert len(choose([episode(5)], 6, asked=asked)) == 6


def test_checks_are_not_asked_twice_and_repeats_are():
    def pay(observations, *_):
        return np.stack([observations[:, 0], observations[:, 0] + 1])

    how = {"length": 2, "n": 9, "candidates_per_query": 9, "step_scores": pay, "rng": np.random.default_rng(0)}
    checks = make_checks([episode(5)], **how)
    asked = sample([episode(5)], 10)
    assert make_checks([episode(5)], asked=asked[:9], **how) != [] != checks
    assert make_checks([episode(5)], asked=asked, **how) == []
    assert make_repeats([], 1, rng=np.random.default_rng(0)) == []  # repeats are of what was answered: test_planned
    again = replace(asked[0], id="again", why=REPEAT, repeats=asked[0].id)
    assert count_queries([episode(5)], 2, asked=[asked[0], again]) == 9


def test_groups_of_three_are_drawn_each_once():
    for seed in range(9):
        assert len(set(names(sample([episode(5)], 9, seed, options=3)))) == 9


def test_a_huge_number_of_groups_is_counted():
    assert count_queries([episode(10_000)], 2, 8) > 2**63


# Terminations


def test_terminated_groups_are_counted_and_drawn_each_once():
    # Windows of 2 steps: 4 of the first, of which the last 2 run into its end; 3 of the second, into none.
    episodes = [episode(4), episode(4, Ending.TRUNCATED, seed=2)]
    ends = {(1, 2), (1, 3)}
    for options, there in ((2, 21 - 10), (3, 35 - 10)):  # without those of the 5 other windows
        groups = Groups(episodes, 2, options, terminated=True)
        assert groups.count == there
        drawn = sample(episodes, there, options=options, terminated=True)
        assert len(set(names(drawn))) == there
        assert all(ends & name for name in names(drawn)) and all(map(runs_into_termination, drawn))


def test_terminated_groups_that_were_asked_are_not_drawn_again():
    episodes = [episode(4), episode(4, Ending.TRUNCATED, seed=2)]
    asked = sample(episodes, 21)
    gone = sum(map(runs_into_termination, asked[:5]))
    assert count_queries(episodes, 2, asked=asked[:5], terminated=True) == 11 - gone
    assert count_queries(episodes, 2, asked=asked, terminated=True) == 0


def test_the_window_that_terminates_is_on_either_side():
    episodes = [episode(1), episode(40, Ending.TRUNCATED, seed=2)]
    first = [query.left.terminated for seed in range(40) for query in sample(episodes, 1, seed, terminated=True)]
    assert 8 < sum(first) < 32  # four standard deviations


@pytest.mark.parametrize("scheme", [None, uniform()])
@pytest.mark.parametrize("options", [2, 3])
def test_the_quota_is_met_before_the_scheme_chooses_the_rest(scheme, options):
    episodes = [episode(3), episode(200, Ending.TRUNCATED, seed=2)]  # three windows of 202 run into an end
    queries = choose(episodes, 8, scheme=scheme, options=options, terminated=5)
    assert len(set(names(queries))) == 8
    assert sum(map(runs_into_termination, queries)) >= 5
    where = {tuple(map(runs_into_termination, choose(episodes, 3, seed, terminated=1))) for seed in range(20)}
    assert len(where) > 1  # they aren't always the first


def test_the_scheme_chooses_among_the_quotas_candidates():
    seen = []

    def scheme(candidates, n, rng):
        seen.append((n, len(candidates), sum(map(runs_into_termination, candidates.queries()))))
        return np.arange(n)

    choose([episode(9), episode(99, Ending.TRUNCATED, seed=2)], 4, scheme=scheme, terminated=3)
    assert seen[0] == (3, 9, 9) and seen[1][:2] == (1, 3)


def test_where_fewer_terminate_as_many_are_asked_as_there_are():
    episodes = [episode(1), episode(3, Ending.TRUNCATED, seed=2)]  # windows of 2 steps: one, and two
    queries = choose(episodes, 3, terminated=3)
    assert sum(map(runs_into_termination, queries)) == 2
    assert not any(map(runs_into_termination, choose([episode(9, Ending.TRUNCATED)], 3, terminated=3)))


def test_a_share_is_met_over_the_run():
    ending, asked = [], []
    for _ in range(50):
        ending.append(due(asked, 2, 0.3, lambda query: query))
        asked += [True] * ending[-1] + [False] * (2 - ending[-1])
    assert sum(ending) == 30 and set(ending) == {0, 1}
    assert due([], 100, 0.29, bool) == 29  # not 28.999...
    assert due([False] * 10, 2, 0.5, bool) == 2  # all of them at most
    assert due([True] * 10, 2, 0.5, bool) == 0
