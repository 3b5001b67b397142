import math

import numpy as np
import pytest

from rlhf_gym.preferences import HELDOUT, Query
from rlhf_gym.queries import Candidates, choose_queries
from rlhf_gym.queries.candidates import discounted
from rlhf_gym.queries.schemes.coverage import coverage, disagreement_coverage, entropy_coverage, k_centres
from rlhf_gym.queries.schemes.entropy import entropy, uncertainty
from rlhf_gym.queries.schemes.features import nearest, standardised
from rlhf_gym.queries.schemes.mutual_information import conditioned, information, mutual_information
from rlhf_gym.queries.schemes.outside_coverage import outside_coverage
from rlhf_gym.queries.schemes.value_disagreement import spread_of_differences, value_disagreement
from rlhf_gym.segments import Ending, Origin, Trajectory


def single_steps(*features):
    """An episode whose windows of one step have these features."""
    observations = np.array([*features, 0.0])[:, None]
    return Trajectory(observations, np.zeros(len(features)), np.zeros(len(features)), Ending.TERMINATED, Origin("E", 1))


def of_features(*pairs, asked=(), scores=None):
    """Candidates whose options are single steps of these features, after others of such were asked."""
    flat = [feature for group in (*pairs, *asked) for feature in group]
    episode, k = single_steps(*flat), len(pairs[0])
    before = [Query((episode.cut(k * i, 1), episode.cut(k * i + k - 1, 1)), id=f"{i}") for i in range(len(flat) // k)]
    windows = np.arange(k * len(pairs)).reshape(-1, k)
    ids = [str(i) for i in range(len(pairs))]
    return Candidates([episode], 1, windows, ids, step_scores=scores, asked=before[len(pairs) :])


def with_scores(scores):
    """Candidates to which the members give these scores, shape (M, N, K)."""
    members, n, k = np.shape(scores)
    each_step = np.reshape(scores, (members, n * k))
    return Candidates(
        [single_steps(*range(n * k))],
        1,
        np.arange(n * k).reshape(n, k),
        ["a"] * n,
        step_scores=lambda observations, *_: each_step[:, observations[:, 0].astype(int)],
    )


def logits(*of_members):
    """Scores of pairs in which the left option is ahead by so much, shape (M, N, 2)."""
    ahead = np.array(of_members, float)
    return np.stack([ahead, np.zeros_like(ahead)], axis=-1)


def chosen(scheme, candidates, n, seed=0):
    return scheme(candidates, n, np.random.default_rng(seed))


# Entropy


def test_entropy_is_that_of_the_members_mean():
    # Members certain of opposite sides leave one bit; both at 1/4 leave 1/4 log 4 + 3/4 log 4/3.
    both = np.array([[[1.0, 0.0], [0.25, 0.75]], [[0.0, 1.0], [0.25, 0.75]]])
    assert uncertainty(both) == pytest.approx([math.log(2), 0.25 * math.log(4) + 0.75 * math.log(4 / 3)])
    assert uncertainty(np.full((2, 1, 3), 1 / 3)) == pytest.approx([math.log(3)])


def test_entropy_asks_what_disagreement_does_not_where_all_members_are_undecided():
    indices, values = chosen(entropy(), with_scores(logits([0, 5], [0, 7])), 1)
    assert (indices.tolist(), values.tolist()) == ([0], [pytest.approx(math.log(2))])


# Coverage


def test_centres_are_the_farthest_from_those_before():
    # Farthest from 0 is 10; then 4 is 4 from 0 and 6 from 10, 7 is 3 from 10: 4; then 7 is 3 from both.
    points = np.array([0.5, 4, 7, 10])[:, None, None]
    indices, gaps = k_centres(points, np.zeros((1, 1, 1)), 3, rng=np.random.default_rng(0))
    assert (indices.tolist(), gaps.tolist()) == ([3, 1, 2], [10, 4, 3])


def test_without_centres_the_first_is_drawn():
    points = np.arange(4.0)[:, None, None]
    firsts = {int(k_centres(points, points[:0], 1, rng=np.random.default_rng(seed))[0][0]) for seed in range(40)}
    assert firsts == {0, 1, 2, 3}


def test_equal_points_are_chosen_each_once():
    indices, gaps = k_centres(np.zeros((4, 2, 1)), np.zeros((1, 2, 1)), 4, rng=np.random.default_rng(0))
    assert (sorted(indices), gaps.tolist()) == ([0, 1, 2, 3], [0.0] * 4)


def test_a_query_in_reverse_is_the_same_query():
    points = np.array([[[3.0], [1.0]], [[1.0], [2.0]]])
    indices, gaps = k_centres(points, np.array([[[1.0], [3.0]]]), 1, rng=np.random.default_rng(0))
    assert (indices.tolist(), gaps.tolist()) == ([1], [1.0])


def test_coverage_asks_what_is_least_like_the_queries_asked_before():
    candidates = of_features((0, 0), (9, 1), (1, 9), (5, 5), asked=[(0, 0)])
    indices, gaps = chosen(coverage(), candidates, 4)
    # The options 0 0 9 1 1 9 5 5 have mean 3.75 and variance (2 x 81 + 2 + 50) / 8 - 3.75^2 = 12.6875. (9, 1) and
    # (1, 9) are 82^.5 from (0, 0) and the same to each other; (5, 5) is 50^.5 from (0, 0) and 32^.5 from (9, 1).
    assert set(indices.tolist()[:2]) in ({1, 3}, {2, 3})
    assert gaps[:2] == pytest.approx([(82 / 12.6875) ** 0.5, (32 / 12.6875) ** 0.5])
    assert gaps[2:] == pytest.approx([0, 0], abs=1e-6)


def test_features_of_asked_options_are_as_those_of_candidates():
    candidates = of_features((0, 2), (4, 6), asked=[(2, 4)])
    features, asked = standardised(candidates)  # mean 3, variance (9 + 1 + 1 + 9) / 4 = 5
    assert features[..., 0].tolist() == [
        pytest.approx(np.array([-3, -1]) / 5**0.5),
        pytest.approx([0.2**0.5, 1.8**0.5]),
    ]
    assert asked[..., 0].tolist() == [pytest.approx(np.array([-1, 1]) / 5**0.5)]


def test_held_out_queries_cover_nothing():
    held = of_features((0, 0), (9, 9), asked=[(9, 9)]).asked[0]
    episode = single_steps(0, 0, 9, 9)
    asked = [Query(held.options, id="x", why=HELDOUT), Query(held.options * 2, id="y", kind="ranking")]
    candidates = Candidates([episode], 1, np.array([[0, 1]]), ["a"], asked=asked)
    assert candidates.asked_features.shape == (0, 2, 1)


def test_a_feature_that_never_varies_counts_for_nothing():
    features, asked = standardised(of_features((1, 1), (1, 1), asked=[(3, 3)]))
    assert (features.ravel().tolist(), asked.ravel().tolist()) == ([0] * 4, [2] * 2)


@pytest.mark.parametrize(
    ("scheme", "ahead"),
    # Of the four candidates, members differ about the first two, or are undecided about them.
    [(disagreement_coverage, ([3, 2, 0, 0], [-3, -2, 0, 0])), (entropy_coverage, ([0.1, 0, 9, 9], [0, 0.1, 9, 9]))],
)
def test_the_pool_is_chosen_by_value_and_among_it_the_farthest(scheme, ahead):
    scores = np.reshape(logits(*ahead), (2, 8))
    candidates = of_features(
        (0, 0), (1, 1), (50, 50), (90, 90), asked=[(0, 0)],
        scores=lambda observations, *_: np.pad(scores, ((0, 0), (0, 2))),
    )  # fmt: skip
    assert chosen(scheme(pool=2), candidates, 1)[0].tolist() == [1]
    assert chosen(scheme(pool=4), candidates, 1)[0].tolist() == [3]  # all of them
    assert chosen(scheme(pool=9), candidates, 1)[0].tolist() == [3]  # more than there are
    assert set(chosen(scheme(pool=1), candidates, 2)[0].tolist()) == {0, 1}


# Mutual information


def test_mutual_information_is_the_entropy_that_knowing_the_member_takes_away():
    # Certain of opposite sides: log 2. Both undecided: nothing. 3/4 and 1/4: log 2 less the entropy of 1/4.
    log3 = math.log(3)
    of_quarter = 0.25 * math.log(4) + 0.75 * math.log(4 / 3)
    found = information(logits([1e3, 0, log3], [-1e3, 0, -log3]))
    assert found == pytest.approx([math.log(2), 0, math.log(2) - of_quarter])


def test_of_three_options_mutual_information_reaches_log_3():
    assert information(1e3 * np.eye(3)[:, None]) == pytest.approx([math.log(3)])


def test_conditioning_takes_out_what_a_query_explains():
    # The second query's logits are twice the first's; the third's are uncorrelated with it.
    left = conditioned(logits([1, 2, 1], [0, 0, -2], [-1, -2, 1]), 0)
    assert (left[..., 0] - left[..., 1]).tolist() == [pytest.approx([0, 0, v], abs=1e-12) for v in (1, -2, 1)]


def test_conditioning_keeps_the_members_mean():
    left = conditioned(logits([3, 5], [1, 1]), 0)
    assert (left[..., 0] - left[..., 1]).tolist() == [pytest.approx([2, 3])] * 2


def test_copies_of_the_best_are_not_both_chosen():
    # Alone, the first two have the most; they say the same, and the third is about another difference of the members.
    scores = logits([4, 4, 1], [0, 0, -2], [-4, -4, 1])
    alone = information(scores)
    assert alone[0] == alone[1] > alone[2] > 0
    for seed in range(8):
        indices, values = chosen(mutual_information(), with_scores(scores), 2, seed)
        assert indices[0] in (0, 1) and indices[1] == 2
        assert values == pytest.approx([alone[0], alone[2]])  # uncorrelated: nothing of it is taken away


def test_copies_of_the_best_of_three_options_are_not_both_chosen():
    best, other = 5 * np.array([[1, 0, -1], [0, 0, 0], [-1, 0, 1]]), np.array([[1, 0, 0], [-2, 0, 0], [1, 0, 0]])
    scores = np.stack([best, best + 7, other], axis=1)  # a copy, whatever is added to all its options
    indices, _ = chosen(mutual_information(), with_scores(scores), 2)
    assert indices[1] == 2


def test_when_the_members_differ_no_more_the_rest_is_chosen_anew():
    # Two members differ in one way only.
    indices, values = chosen(mutual_information(), with_scores(logits([3, 2, 1], [-3, -2, -1])), 3)
    assert indices.tolist() == [0, 1, 2]
    assert values == pytest.approx(information(logits([3, 2, 1], [-3, -2, -1])))


def test_members_who_agree_leave_a_draw():
    drawn = {
        int(chosen(mutual_information(), with_scores(logits([1, 1], [1, 1])), 1, seed)[0][0]) for seed in range(20)
    }
    assert drawn == {0, 1}


# Value disagreement


def test_discounted_sums_end_with_their_trajectory():
    # Two episodes, of 3 and 2 steps: 1 + 2/2 + 4/4, 2 + 4/2, 4; 8 + 6/2, 6.
    values = np.array([[1, 2, 4, 8, 6], [0, 0, 1, 0, 0]])
    assert discounted(values, [3, 2], 0.5).tolist() == [[3, 4, 4, 11, 6], [0.25, 0.5, 1, 0, 0]]
    assert discounted(values, [3, 2], 0.0).tolist() == values.tolist()
    assert discounted(values, [3, 2], 1.0)[0].tolist() == [7, 6, 4, 14, 6]


@pytest.mark.parametrize("length", [1, 7, 8, 9, 100])
def test_discounted_sums_are_those_of_the_recursion(length):
    values, expected = np.random.default_rng(length).normal(size=length), [0.0]
    for value in values[::-1]:
        expected.append(value + 0.9 * expected[-1])
    assert discounted(values[None], [length], 0.9)[0] == pytest.approx(expected[:0:-1])


def test_the_spread_of_differences_is_over_members_and_a_mean_over_twos():
    # Differences of two options: 3 and -1, whose standard deviation is 2. Of three: 2 again, 1 (0 and 2), and 1.
    assert spread_of_differences(np.array([[[3.0, 0]], [[1, 2]]])) == pytest.approx([2])
    assert spread_of_differences(np.array([[[3.0, 0, 3]], [[1, 2, -1]]])) == pytest.approx([(2 + 1 + 3) / 3])


def test_value_disagreement_looks_past_the_window():
    # Of two episodes of three steps the members differ about the last step of the first alone. Windows of one step:
    # (0, 3) are both starts, (1, 4) one step later, (0, 4) mixed; with gamma 1/2 they differ by 1/4, 1/2 and 1/4.
    later = np.array([[0, 0, 8, 0, 0, 0], [0, 0, -8, 0, 0, 0]])
    episodes = [single_steps(0, 1, 2), single_steps(3, 4, 5)]
    candidates = Candidates(episodes, 1, np.array([[0, 3], [1, 4], [3, 4]]), ["a"] * 3, step_scores=lambda *_: later)
    indices, values = chosen(value_disagreement(gamma=0.5), candidates, 3)
    assert (indices.tolist(), values.tolist()) == ([1, 0, 2], [4, 2, 0])
    assert candidates.scores.std() == 0  # the windows themselves tell nothing


# Outside coverage


def test_nearest_is_the_distance_to_the_nearest():
    points = np.array([[0.0, 0], [3, 4]])
    assert nearest(points, np.array([[0.0, 1], [3, 3]])).tolist() == [1, 1]
    assert nearest(points, points, itself=False).tolist() == [5, 5]
    assert nearest(points, points[:0]).tolist() == [np.inf] * 2


def test_half_is_asked_just_outside_and_half_inside():
    # Asked options lie at 0, 1, 2, 3, so that each has another 1 away: that is the border. A query is as far out as
    # its farthest option: 0.5, 0, 3, 7 and 2.
    candidates = of_features((0.5, 1), (1, 2), (0, 6), (10, 1), (5, 2), asked=[(0, 1), (2, 3)])
    indices, out = chosen(outside_coverage(), candidates, 4)
    assert indices.tolist()[:2] == [4, 2] and set(indices.tolist()[2:]) == {0, 1}
    assert out[:2] / out[0] == pytest.approx([1, 1.5])


@pytest.mark.parametrize(("share", "expected"), [(0.0, {0, 1}), (1.0, {2, 4}), (0.5, None)])
def test_the_share_from_outside_is_an_option(share, expected):
    candidates = of_features((0.5, 1), (1, 2), (0, 6), (10, 1), (5, 2), asked=[(0, 1), (2, 3)])
    indices = set(chosen(outside_coverage(share), candidates, 2)[0].tolist())
    assert indices == expected if expected else len(indices & {2, 3, 4}) == 1


def test_a_single_query_comes_from_either_side():
    candidates = of_features((0.5, 1), (5, 2), asked=[(0, 1), (2, 3)])
    assert {int(chosen(outside_coverage(), candidates, 1, seed)[0][0]) for seed in range(20)} == {0, 1}


def test_what_one_side_lacks_the_other_gives_nearest_to_the_border_first():
    inside = of_features((1, 2), (0.5, 1), (0.1, 1), (5, 2), asked=[(0, 1), (2, 3)])  # out by 0, 0.5, 0.1 and 2
    assert chosen(outside_coverage(1.0), inside, 3)[0].tolist() == [3, 1, 2]
    outside = of_features((1, 2), (9, 0), (5, 2), (7, 0), asked=[(0, 1), (2, 3)])
    assert chosen(outside_coverage(0.0), outside, 3)[0].tolist() == [2, 3, 0]


def test_before_anything_was_asked_the_choice_is_uniform():
    candidates = of_features((0, 1), (1, 2), (0, 6))
    assert {int(chosen(outside_coverage(), candidates, 1, seed)[0][0]) for seed in range(30)} == {0, 1, 2}


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: disagreement_coverage(pool=0), "scheme_options.pool is 0; use at least 1"),
        (lambda: entropy_coverage(pool=math.nan), "scheme_options.pool is nan; use at least 1"),
        (lambda: value_disagreement(gamma=1.5), "scheme_options.gamma is 1.5; use a number from 0 to 1"),
        (lambda: outside_coverage(share=-1), "scheme_options.share is -1; use a number from 0 to 1"),
        (lambda: outside_coverage(border=2), "scheme_options.border is 2; use a number from 0 to 1"),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("scheme", [entropy(), entropy_coverage(), mutual_information(), value_disagreement()])
def test_a_scheme_of_scores_is_refused_before_the_first_fit(scheme):
    with pytest.raises(ValueError, match="no scores before the first fit; use the uniform scheme"):
        chosen(scheme, of_features((0, 1), (1, 2)), 1)


@pytest.mark.parametrize("scheme", [coverage(), outside_coverage()])
def test_a_scheme_of_features_is_refused_where_there_are_none(scheme):
    with pytest.raises(ValueError, match=r"no features: .* shape \(6, 0\); .* a query.scheme that needs none"):
        choose_queries(
            [single_steps(*range(6))], length=1, n=1, scheme=scheme, candidates_per_query=5,
            rng=np.random.default_rng(0), encode=lambda observations, *_: np.zeros((len(observations), 0)),
        )  # fmt: skip
