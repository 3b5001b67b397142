import math
from itertools import combinations

import numpy as np
import pytest

from rlhf_gym.preferences import Answer, Preference
from rlhf_gym.queries import Insertion
from rlhf_gym.queries.ranked_list import list_name, ranked_lists
from rlhf_gym.segments import Ending, Origin, Trajectory


def episode(windows, seed=0, ending=Ending.TRUNCATED):
    """Windows are known by their starts, which are what they are worth."""
    steps = windows + 1 if ending is Ending.TRUNCATED else windows
    return Trajectory(np.arange(steps + 1.0)[:, None], np.zeros(steps), np.zeros(steps), ending, Origin("E", seed))


def oracle(query):
    left, right = query.left.start, query.right.start
    return Answer.TIE if left == right else Answer.LEFT if left > right else Answer.RIGHT


def choose(scheme, preferences, n=100, *, trajectories=(), waiting=(), seed=0, terminated=0):
    return scheme.choose(
        trajectories or [episode(200)],
        length=2,
        n=n,
        preferences=preferences,
        waiting=waiting,
        rng=np.random.default_rng([seed, len(preferences)]),
        terminated=terminated,
    )


def ask(scheme, labels, *, answer=oracle, **how):
    """Ask and answer until there are so many labels; skips aren't."""
    preferences = []
    while (missing := labels - sum(p.answer is not Answer.SKIP for p in preferences)) > 0:
        preferences += [Preference(query, answer(query)) for query in choose(scheme, preferences, missing, **how)]
    return preferences


def test_a_list_comes_into_order_by_about_the_binary_logarithm_of_its_length_in_comparisons_a_segment():
    preferences = ask(Insertion(lists=1, comparisons=100), 100)
    [one] = ranked_lists(preferences).values()
    starts = [one.segments[i].start for i in one.placed]
    assert starts == sorted(starts) and len(starts) >= 26
    assert sum(math.ceil(math.log2(m + 1)) for m in range(1, 26)) == 99  # 26 segments are placed at the worst
    if one.next is None:
        assert len(one.implied) == math.comb(len(starts), 2) - 100


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_each_list_is_asked_about_once_at_a_time(n):
    scheme = Insertion(lists=3)
    queries = choose(scheme, [], n)
    assert len(queries) == min(n, 3) == len({list_name(query) for query in queries})
    preferences = ask(scheme, 30)
    assert len(ranked_lists(preferences)) == 3
    assert [one.asked for one in ranked_lists(preferences).values()] == [10, 10, 10]  # they grow side by side
    queries = choose(scheme, preferences, n)
    assert len(queries) == min(n, 3) == len({list_name(query) for query in queries})


def test_a_list_waits_while_one_of_its_queries_is_open():
    scheme = Insertion(lists=2)
    first = choose(scheme, [])
    assert len(first) == 2 and choose(scheme, [], waiting=first) == []
    [query] = choose(scheme, [Preference(first[0], oracle(first[0]))], waiting=first[1:])
    assert list_name(query) == list_name(first[0])


def test_a_full_list_places_its_last_segment_and_another_begins():
    preferences = ask(Insertion(lists=1, comparisons=10), 60)
    lists = list(ranked_lists(preferences).values())
    assert len(lists) >= 4
    for one in lists[:-1]:
        assert 10 <= one.asked <= 12 and len(one.placed) == len(one.segments)  # 2 more at most for one of 7 segments
    for one, other in combinations(lists, 2):
        assert not {s.start for s in one.segments} & {s.start for s in other.segments}


def test_no_pair_is_asked_twice_and_sides_are_even():
    preferences = ask(Insertion(), 200)
    pairs = [frozenset((p.query.left.start, p.query.right.start)) for p in preferences]
    assert len(set(pairs)) == 200 == len({p.query.id for p in preferences})
    seen, new_on_the_left = set(), []
    for p in preferences:
        left, right = p.query.left.start, p.query.right.start
        if (left in seen) != (right in seen):
            new_on_the_left.append(left not in seen)
        seen |= {left, right}
    assert abs(np.mean(new_on_the_left) - 0.5) < 0.25 and len(new_on_the_left) > 40


def test_where_a_skip_is_no_label_the_list_goes_on_with_another_segment():
    rng = np.random.default_rng(5)
    scheme = Insertion(lists=2, comparisons=50)
    preferences = ask(scheme, 40, answer=lambda query: Answer.SKIP if rng.random() < 0.3 else oracle(query))
    for one in ranked_lists(preferences).values():
        starts = [one.segments[i].start for i in one.placed]
        assert starts == sorted(starts) and len(starts) >= 5


def test_a_teacher_who_finds_everything_alike_puts_all_in_one_place():
    preferences = ask(Insertion(lists=1), 6, answer=lambda query: Answer.TIE)
    [one] = ranked_lists(preferences).values()
    assert len(one.segments) == 7 and one.tied.all()


def test_an_answer_that_was_taken_back_is_asked_for_again():
    scheme = Insertion(lists=1)
    preferences = ask(scheme, 12)
    [one] = ranked_lists(preferences).values()
    [gone] = [
        p for p in preferences[4:] if len(ranked_lists(without(preferences, p)).popitem()[1].placed) < len(one.placed)
    ][:1]
    left = without(preferences, gone)
    [query] = choose(scheme, left)
    again = [*left, Preference(query, oracle(query))]
    [back] = ranked_lists(again).values()
    assert len(back.segments) == len(one.segments) and len(back.placed) >= len(one.placed)


def test_a_list_whose_answers_contradict_each_other_in_a_cycle_is_left_and_another_begins():
    scheme = Insertion(lists=1, comparisons=10)
    preferences = ask(scheme, 3)
    assert [len(one.segments) for one in ranked_lists(preferences).values()] == [3]  # every two of them compared
    best, _, worst = sorted({option.start for p in preferences for option in p.query.options}, reverse=True)
    for i, preference in enumerate(preferences):
        if {option.start for option in preference.query.options} == {best, worst}:  # the answer is changed
            preferences[i] = Preference(preference.query, preference.answer.mirrored)
    [one] = ranked_lists(preferences).values()
    assert one.placed == [] and one.next is None
    [query] = choose(scheme, preferences)
    assert list_name(query) != one.name


def without(preferences, gone):
    return [preference for preference in preferences if preference is not gone]


def test_a_share_of_the_new_segments_runs_into_a_termination():
    recorded = [episode(300), episode(20, seed=1, ending=Ending.TERMINATED)]
    queries = choose(Insertion(lists=4), [], trajectories=recorded, terminated=3)
    assert sum(option.terminated for query in queries for option in query.options) >= 2  # there are two such windows
    assert not any(q.left.terminated or q.right.terminated for q in choose(Insertion(lists=4), [], seed=3))


def test_too_few_segments_are_refused_in_one_line():
    with pytest.raises(ValueError, match="8 queries were to be asked at once, but 5 segments") as refused:
        choose(Insertion(lists=4), [], trajectories=[episode(5)])
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"lists": 0}, "query.scheme_options.lists is 0; use a whole number of at least 1"),
        ({"comparisons": 2.5}, "query.scheme_options.comparisons is 2.5; use a whole number"),
        ({"weigh": "all"}, "query.scheme_options.weigh is 'all'; use answers or pairs"),
    ],
)
def test_options_out_of_range_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        Insertion(**options)
