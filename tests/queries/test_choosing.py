from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from rlhf_gym.queries import Candidates, best, by_value, choose_queries, sample_candidates
from rlhf_gym.queries.schemes.disagreement import disagreement, spread
from rlhf_gym.queries.schemes.uniform import uniform
from rlhf_gym.segments import Ending, Trajectory


def episode(windows):
    """A terminated episode with a number of windows; a window is known by its start, which step 0 observes."""
    return Trajectory(np.arange(windows + 1.0)[:, None], np.zeros(windows), np.zeros(windows), Ending.TERMINATED)


def sample_queries(trajectories, **how):
    return sample_candidates(trajectories, **how).queries()


def of_starts(value):
    """A scheme that values a candidate by the starts of its two options."""
    return by_value(lambda candidates: np.array([value(*pair) for pair in starts(candidates.queries())], float))


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


def choose(windows, n, seed=0, scheme=None, candidates_per_query=10**6, name="disagreement"):
    """Choose from an episode; by default a pair is worth ten times the later start plus the earlier one."""
    return choose_queries(
        [episode(windows)],
        length=2,
        n=n,
        scheme=scheme or of_starts(lambda *pair: 10 * max(pair) + min(pair)),
        name=name,
        candidates_per_query=candidates_per_query,
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
    with pytest.raises(ValueError, match="1 segments of segment_length 2 make 0 pairs; .* more query.warm_up_steps"):
        sample_queries([episode(1)], length=2, n=1, rng=np.random.default_rng(0))


# What a query is worth


def both(left):
    """P(left preferred) and what is left of 1, shape (M, N, 2)."""
    left = np.array(left)
    return np.stack([left, 1 - left], axis=-1)


def test_disagreement_is_the_standard_deviation_over_members():
    # 0.2 and 0.8 lie 0.3 from their mean; 0, 0, 0.6 have mean 0.2 and variance (0.04 + 0.04 + 0.16) / 3 = 0.08.
    assert spread(both([[0.2, 0.5], [0.8, 0.5]])) == pytest.approx([0.3, 0.0])
    assert spread(both([[0.0], [0.0], [0.6]])) == pytest.approx([0.08**0.5])


def test_of_more_options_disagreement_is_the_mean_of_their_standard_deviations():
    # Of three options the members differ about the first two: by 0.2, 0.2 and 0 from their means.
    assert spread(np.array([[[0.6, 0.2, 0.2]], [[0.2, 0.6, 0.2]]])) == pytest.approx([0.4 / 3])


def test_under_uniform_the_sample_is_taken_as_it_comes():
    sample = sample_candidates([episode(5)], length=2, n=4, rng=np.random.default_rng(0))
    assert uniform()(sample, 3, np.random.default_rng(0)).tolist() == [0, 1, 2]


# What the learned reward makes of candidates


def paid_by_observation(observations, actions, next_observations):
    """Two members: one pays what is observed, the other takes it."""
    return np.stack([observations[:, 0], -observations[:, 0]])


def test_scores_are_sums_over_the_lived_steps_of_each_option():
    episodes = [episode(2), episode(4)]  # windows 0, 1 and 2 to 5 of 3 steps: observations 0 1, 1, 0 1 2, 1 2 3, 2 3, 3
    where = np.array([[0, 1], [2, 3], [4, 5], [5, 0]])
    sums = np.array([[1, 1], [3, 6], [5, 3], [3, 1]])
    candidates = Candidates(episodes, 3, where, ["a"] * 4, step_scores=paid_by_observation)
    assert candidates.scores.tolist() == [sums.tolist(), (-sums).tolist()]
    assert candidates.features[..., 0].tolist() == [[0.5, 1], [1, 2], [2.5, 3], [3, 0.5]]  # means


def test_scores_are_those_of_the_segments_that_are_asked():
    rng = np.random.default_rng(1)
    episodes = [
        Trajectory(rng.normal(size=(n + 1, 1)), np.zeros(n), np.zeros(n), end) for n in (9, 4, 17) for end in Ending
    ]
    candidates = sample_candidates(episodes, length=4, n=50, options=3, rng=rng, step_scores=paid_by_observation)
    for sums, query in zip(candidates.scores[0], candidates.queries(), strict=True):
        assert sums == pytest.approx([option.observations[:-1].sum() for option in query.options])


def test_probabilities_are_bradley_terry_for_a_pair():
    candidates = Candidates([episode(4)], 1, np.array([[3, 1]]), ["a"], step_scores=paid_by_observation)
    # Scores 3 and 1, then -3 and -1: 1 / (1 + exp(-2)) and 1 / (1 + exp(2)).
    assert candidates.probabilities[:, 0, 0] == pytest.approx([0.880797, 0.119203])


def test_candidates_have_no_scores_before_there_is_a_model():
    with pytest.raises(ValueError, match="no scores before the first fit; use the uniform scheme"):
        sample_candidates([episode(4)], length=1, n=1, rng=np.random.default_rng(0)).scores  # noqa: B018


def test_a_query_of_more_options_shows_different_windows():
    queries = sample_queries([episode(8)], length=2, n=40, options=4, rng=np.random.default_rng(0))
    assert all(len({option.start for option in query.options}) == 4 for query in queries)
    with pytest.raises(ValueError, match="3 segments of segment_length 2 make 0 groups of 4"):
        sample_queries([episode(3)], length=2, n=1, options=4, rng=np.random.default_rng(0))


# Choosing


def test_the_highest_values_are_chosen():
    queries = choose(windows=5, n=3)
    assert {frozenset(pair) for pair in starts(queries)} == {frozenset({4, 3}), frozenset({4, 2}), frozenset({4, 1})}
    # 10 * 4 + 3, 2 and 1, the best first
    assert [query.value for query in queries] == pytest.approx([43, 42, 41])
    assert [query.why for query in queries] == ["disagreement"] * 3


def test_candidates_per_query_are_looked_at_in_one_call():
    batches = []

    @by_value
    def look(candidates):
        batches.append(len(candidates))
        return np.zeros(len(candidates))

    choose(windows=50, n=4, candidates_per_query=10, scheme=look)
    choose(windows=5, n=4, candidates_per_query=10, scheme=look)  # there are only 10 pairs
    assert batches == [40, 10]


def test_only_the_candidates_can_be_chosen():
    # Of 10 pairs 2 are looked at: the best pair of all is among them with probability 1/5, and then chosen.
    best = sum(set(starts(choose(5, 1, seed, candidates_per_query=2))[0]) == {4, 3} for seed in range(1000))
    assert abs(best - 200) < 64  # 5 standard deviations of Binomial(1000, 1/5)


def test_equal_values_are_chosen_uniformly():
    same = of_starts(lambda *pair: 0.5)
    counts = Counter(frozenset(starts(choose(4, 1, seed, scheme=same))[0]) for seed in range(1200))
    assert len(counts) == 6
    assert all(abs(count - 200) < 65 for count in counts.values())  # 5 standard deviations of Binomial(1200, 1/6)


def test_equal_values_come_in_random_order_whatever_order_the_candidates_have():
    rng = np.random.default_rng(0)
    counts = Counter(tuple(best(np.array([5.0, 7.0, 5.0]), 2, rng=rng)) for _ in range(400))
    assert set(counts) == {(1, 0), (1, 2)}
    assert abs(counts[1, 0] - 200) < 50  # 5 standard deviations of Binomial(400, 1/2)


def test_without_a_scheme_the_choice_is_uniform():
    def draw(seed):
        how = {"length": 2, "n": 1, "scheme": None, "candidates_per_query": 10}
        return choose_queries([episode(4)], rng=np.random.default_rng(seed), **how)[0]

    drawn = [draw(seed) for seed in range(1200)]
    counts = Counter(frozenset(pair) for pair in starts(drawn))
    assert len(counts) == 6
    assert all(abs(count - 200) < 65 for count in counts.values())
    assert {(query.why, query.value) for query in drawn} == {("uniform", 0.0)}


def test_where_there_is_no_choice_all_pairs_are_asked():
    assert len({frozenset(pair) for pair in starts(choose(windows=5, n=10))}) == 10


def test_the_same_seed_chooses_the_same_queries():
    def chosen(seed):
        queries = choose(windows=30, n=5, seed=seed, candidates_per_query=3)
        return starts(queries), [query.id for query in queries]

    assert chosen(1) == chosen(1)
    assert chosen(1) != chosen(2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "query.scheme mine chose None of 10 candidates; expected 2 different indices"),
        ([0.0, 1.0], "query.scheme mine chose .* of 10 candidates; expected 2 different indices"),
        ([0, 0], "query.scheme mine chose .* of 10 candidates; expected 2 different indices"),
        ([0, 10], "expected 2 different indices"),
        ([-1, 0], "expected 2 different indices"),
        ([0], "expected 2 different indices"),
        (([0, 1], [0.5, np.nan]), "query.scheme mine values its choice at .*nan.*; expected 2 finite numbers"),
    ],
)
def test_a_scheme_that_chooses_badly_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        choose(windows=5, n=2, scheme=lambda candidates, n, rng: given, name="mine")


def test_a_value_that_is_nan_is_refused_and_not_sorted_last():
    with pytest.raises(ValueError, match="values 10 candidates at .*nan.*; expected one finite number for each"):
        choose(windows=5, n=2, scheme=of_starts(lambda *pair: np.nan if set(pair) == {4, 3} else 0.0))


def test_the_disagreement_scheme_asks_about_what_members_differ_on_most():
    # Members pay x and -x: they differ the more the farther apart the starts of two single steps are.
    queries = choose_queries(
        [episode(5)], length=1, n=1, scheme=disagreement(), name="disagreement", candidates_per_query=10,
        step_scores=paid_by_observation, rng=np.random.default_rng(0),
    )  # fmt: skip
    assert set(starts(queries)[0]) == {0, 4}
