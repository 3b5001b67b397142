from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from rlhf_gym.queries import choose_queries, disagreement, sample_queries, uniform
from rlhf_gym.queries.selection import best
from rlhf_gym.segments import Ending, Trajectory


def episode(windows):
    """A terminated episode with so many windows; a window is known by its start."""
    return Trajectory(np.zeros((windows + 1, 1)), np.zeros(windows), np.zeros(windows), Ending.TERMINATED)


def starts(queries):
    return [(query.left.start, query.right.start) for query in queries]


class Chosen:
    """Stands in for a generator: draws the given numbers, and puts the later window on the left."""

    def __init__(self, numbers):
        self.numbers = numbers

    def choice(self, population, size, replace):
        assert max(self.numbers) < population
        assert (size, replace) == (len(self.numbers), False)
        return np.array(self.numbers)

    def random(self, size):
        return np.zeros(size)

    def bytes(self, size):
        return bytes(size)


def choose(windows, n, seed=0, scheme="disagreement", candidates_per_query=10**6, probabilities=None):
    """Choose from an episode; by default the ensemble differs by ten times the later start plus the earlier one."""

    def spread(queries):
        values = np.array([10 * max(pair) + min(pair) for pair in starts(queries)]) / 1000
        return np.stack([0.5 - values, 0.5 + values])

    return choose_queries(
        [episode(windows)],
        length=2,
        n=n,
        scheme=scheme,
        candidates_per_query=candidates_per_query,
        probabilities=probabilities or spread,
        rng=np.random.default_rng(seed),
    )


# Sampling pairs


@pytest.mark.parametrize("windows", range(2, 13))
def test_every_number_of_the_triangle_is_another_pair(windows):
    pairs = [(i, j) for i in range(windows) for j in range(i)]  # (1, 0), (2, 0), (2, 1), (3, 0), ...
    assert starts(sample_queries([episode(windows)], length=2, n=len(pairs), rng=Chosen(range(len(pairs))))) == pairs


@pytest.mark.parametrize("row", [50_000, 65_536, 94_906, 99_999])
def test_pairs_are_right_at_the_borders_of_a_large_triangle(row):
    first = row * (row - 1) // 2
    queries = sample_queries([episode(100_000)], length=1, n=3, rng=Chosen([first - 1, first, first + row - 1]))
    assert starts(queries) == [(row - 1, row - 2), (row, 0), (row, row - 1)]


@pytest.mark.parametrize("seed", range(5))
def test_all_pairs_can_be_asked_each_once(seed):
    queries = sample_queries([episode(6)], length=2, n=15, rng=np.random.default_rng(seed))
    assert sorted(tuple(sorted(pair)) for pair in starts(queries)) == list(combinations(range(6), 2))


def test_pairs_are_different_pairs_of_different_windows():
    rng = np.random.default_rng(0)
    for _ in range(100):
        drawn = starts(sample_queries([episode(7)], length=3, n=9, rng=rng))
        assert len({frozenset(pair) for pair in drawn}) == 9
        assert all(left != right for left, right in drawn)


def test_pairs_are_uniform_and_each_window_comes_on_either_side():
    rng = np.random.default_rng(0)
    counts = Counter(starts(sample_queries([episode(4)], length=2, n=1, rng=rng))[0] for _ in range(3000))
    assert len(counts) == 12
    # 5 standard deviations of Binomial(3000, 1/12) are 76, of Binomial(3000, 1/2) 137.
    assert all(abs(count - 250) < 76 for count in counts.values())
    assert abs(sum(count for (left, right), count in counts.items() if left > right) - 1500) < 137


def test_pairs_are_drawn_across_episodes():
    episodes = [episode(1), episode(1)]
    (query,) = sample_queries(episodes, length=5, n=1, rng=np.random.default_rng(0))
    assert (query.left.lived, query.right.lived, query.left.length) == (1, 1, 5)


def test_every_query_has_an_id_of_its_own():
    assert (
        len({query.id for query in sample_queries([episode(20)], length=2, n=190, rng=np.random.default_rng(0))}) == 190
    )


def test_more_pairs_than_there_are_are_refused():
    with pytest.raises(
        ValueError, match="11 queries .* 5 segments of segment_length 2 make 10 pairs; use fewer labels"
    ):
        sample_queries([episode(5)], length=2, n=11, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="11 queries .* make 10 pairs"):
        choose(windows=5, n=11)


def test_a_single_segment_makes_no_pair():
    with pytest.raises(ValueError, match="1 segments of segment_length 2 make 0 pairs; .* more query.first_steps"):
        sample_queries([episode(1)], length=2, n=1, rng=np.random.default_rng(0))


# What a query is worth


def test_disagreement_is_the_standard_deviation_over_members():
    # 0.2 and 0.8 lie 0.3 from their mean; 0, 0, 0.6 have mean 0.2 and variance (0.04 + 0.04 + 0.16) / 3 = 0.08.
    assert disagreement(np.array([[0.2, 0.5], [0.8, 0.5]])) == pytest.approx([0.3, 0.0])
    assert disagreement(np.array([[0.0], [0.0], [0.6]])) == pytest.approx([0.08**0.5])


def test_under_uniform_all_are_worth_the_same():
    assert uniform(np.random.default_rng(0).random((3, 4))).tolist() == [0, 0, 0, 0]


# Choosing


def test_the_highest_values_are_chosen():
    queries = choose(windows=5, n=3)
    assert {frozenset(pair) for pair in starts(queries)} == {frozenset({4, 3}), frozenset({4, 2}), frozenset({4, 1})}
    # 10 * 4 + 3, 2 and 1 thousandths, the best first
    assert [query.value for query in queries] == pytest.approx([0.043, 0.042, 0.041])
    assert [query.why for query in queries] == ["disagreement"] * 3


def test_so_many_candidates_are_looked_at_in_one_call():
    batches = []

    def look(queries):
        batches.append(len(queries))
        return np.zeros((2, len(queries)))

    choose(windows=50, n=4, candidates_per_query=10, probabilities=look)
    choose(windows=5, n=4, candidates_per_query=10, probabilities=look)  # there are only 10 pairs
    assert batches == [40, 10]


def test_only_the_candidates_can_be_chosen():
    # Of 10 pairs 2 are looked at: the best pair of all is among them with probability 1/5, and then chosen.
    best = sum(set(starts(choose(5, 1, seed, candidates_per_query=2))[0]) == {4, 3} for seed in range(1000))
    assert abs(best - 200) < 64  # 5 standard deviations of Binomial(1000, 1/5)


def test_equal_values_are_chosen_uniformly():
    def same(queries):
        return np.full((3, len(queries)), 0.5)

    counts = Counter(frozenset(starts(choose(4, 1, seed, probabilities=same))[0]) for seed in range(1200))
    assert len(counts) == 6
    assert all(abs(count - 200) < 65 for count in counts.values())  # 5 standard deviations of Binomial(1200, 1/6)


def test_equal_values_come_in_random_order_whatever_order_the_candidates_have():
    rng = np.random.default_rng(0)
    counts = Counter(tuple(best(np.array([5.0, 7.0, 5.0]), 2, rng=rng)) for _ in range(400))
    assert set(counts) == {(1, 0), (1, 2)}
    assert abs(counts[1, 0] - 200) < 50  # 5 standard deviations of Binomial(400, 1/2)


def test_the_uniform_scheme_asks_no_model_and_is_uniform():
    def never(queries):
        raise AssertionError("the model was asked")

    drawn = [choose(4, 1, seed, scheme="uniform", probabilities=never)[0] for seed in range(1200)]
    counts = Counter(frozenset(pair) for pair in starts(drawn))
    assert len(counts) == 6
    assert all(abs(count - 200) < 65 for count in counts.values())
    assert {(query.why, query.value) for query in drawn} == {("uniform", 0.0)}


def test_where_there_is_no_choice_all_pairs_are_asked():
    assert len({frozenset(pair) for pair in starts(choose(windows=5, n=10))}) == 10


@pytest.mark.parametrize("scheme", ["uniform", "disagreement"])
def test_the_same_seed_chooses_the_same_queries(scheme):
    def chosen(seed):
        queries = choose(windows=30, n=5, seed=seed, scheme=scheme, candidates_per_query=3)
        return starts(queries), [query.id for query in queries]

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="scheme is 'disagreemnt'; use one of uniform, disagreement"):
        choose(windows=5, n=1, scheme="disagreemnt")
