import numpy as np
import pytest

from rlhf_gym.preferences import Answer, Preference, Query
from rlhf_gym.queries.ranked_list import INSERTION, closed, ranked_lists
from rlhf_gym.segments import Ending, Origin, Trajectory

EPISODE = Trajectory(np.arange(41.0)[:, None], np.zeros(40), np.zeros(40), Ending.TERMINATED, Origin("Line-v0", seed=3))


def said(text, *, name="0" * 16, teacher="oracle", first=0):
    """Preferences from text such as "5>2 2=3 4?1": segments are known by their starts, and ? is a skip."""
    answers = {">": Answer.LEFT, "<": Answer.RIGHT, "=": Answer.TIE, "?": Answer.SKIP}
    found = []
    for number, one in enumerate(text.split(), first):
        sign = next(sign for sign in answers if sign in one)
        options = tuple(EPISODE.cut(int(start), 2) for start in one.split(sign))  # new objects, as from the store
        found.append(Preference(Query(options, f"{name}{number:016x}", why=INSERTION), answers[sign], teacher))
    return found


def ranked(text, **how):
    [one] = ranked_lists(said(text, **how)).values()
    return one


def starts(one, numbers):
    return [one.segments[i].start for i in numbers]


def relations(better, tied):
    return {(i, j) for i, j in np.argwhere(better)}, {(i, j) for i, j in np.argwhere(np.triu(tied, 1))}


def matrix(*pairs, size=4):
    found = np.zeros((size, size), bool)
    for pair in pairs:
        found[pair] = True
    return found


@pytest.mark.parametrize(
    ("better", "tied", "found"),
    [
        ([(0, 1), (1, 2)], [], ({(0, 1), (1, 2), (0, 2)}, set())),
        ([(0, 1)], [(1, 2)], ({(0, 1), (0, 2)}, {(1, 2)})),
        ([(0, 1)], [(1, 2), (2, 3)], ({(0, 1), (0, 2), (0, 3)}, {(1, 2), (2, 3), (1, 3)})),
        ([(0, 1), (2, 3)], [], ({(0, 1), (2, 3)}, set())),
        # In a circle nothing is known; what is above or below all of it stands.
        ([(0, 1), (1, 2), (2, 0), (2, 3)], [], ({(0, 3), (1, 3), (2, 3)}, set())),
        ([(0, 1)], [(1, 2), (2, 0)], (set(), set())),
    ],
)
def test_what_follows_by_transitivity(better, tied, found):
    both = matrix(*tied) | matrix(*tied).T
    assert relations(*closed(matrix(*better), both)) == found


def test_a_list_is_put_together_from_its_answers_in_any_order():
    text = "5>2 7>5 3<5 3>2 9<7 9>5"
    one = ranked(text)
    assert starts(one, one.placed) == [2, 3, 5, 9, 7] and one.next is None and one.asked == 6
    assert {tuple(sorted(starts(one, pair))) for pair in one.implied} == {(2, 7), (2, 9), (3, 7), (3, 9)}
    other = ranked(" ".join(np.random.default_rng(1).permutation(text.split())))
    assert starts(other, other.placed) == [2, 3, 5, 9, 7] and len(other.implied) == 4


def test_a_segment_is_compared_with_the_middle_of_where_it_may_be():
    one = ranked("5>2 7>5 3<5")  # 2 < 5 < 7, and 3 is below 5
    assert starts(one, one.next) == [3, 2]
    one = ranked("5>2 7>5 8<5 8>2 9>7 4>5")  # 2 < 8 < 5 < 7 < 9, and 4 is above 5
    assert starts(one, one.placed) == [2, 8, 5, 7, 9] and starts(one, one.next) == [4, 9]


def test_what_is_equally_good_shares_a_place():
    one = ranked("5>2 5=7 3<7 3>2")
    assert starts(one, one.placed) == [2, 3, 5, 7] and one.tied[np.ix_(one.placed, one.placed)][2, 3]
    assert {tuple(sorted(starts(one, pair))) for pair in one.implied} == {(2, 7), (3, 5)}


def test_a_segment_about_which_nobody_can_tell_is_given_up():
    one = ranked("5>2 7>5 3<5 3?2")
    assert starts(one, one.placed) == [2, 5, 7] and one.next is None and one.asked == 4
    alone = ranked("5?2")
    assert starts(alone, alone.placed) == [5] and alone.next is None and len(alone.implied) == 0


def test_a_segment_that_answers_put_in_two_places_is_given_up():
    one = ranked("5>2 7>5 3>7 3<2")
    assert one.next is None and not one.better[np.ix_(range(4), range(4))].any()


def test_where_people_differ_the_majority_counts_and_halves_are_a_tie():
    votes = [*said("5>2", teacher="ann"), *said("5>2", teacher="bob"), *said("5<2", teacher="cem")]
    [one] = ranked_lists(votes).values()
    assert (starts(one, one.placed), one.asked) == ([2, 5], 1)
    [one] = ranked_lists(votes[1:]).values()
    assert one.tied.all() and not one.better.any()
    [one] = ranked_lists([*said("5?2", teacher="ann"), *said("5>2", teacher="bob")]).values()
    assert starts(one, one.placed) == [2, 5] and not one.skipped.any()


def test_lists_are_told_apart_by_the_ids_of_their_queries():
    lists = ranked_lists(
        [*said("5>2", name="a" * 16), *said("7>3", name="b" * 16), *said("9>5", name="a" * 16, first=1)]
    )
    assert [len(one.segments) for one in lists.values()] == [3, 2]
