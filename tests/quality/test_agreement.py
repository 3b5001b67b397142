from dataclasses import replace

import numpy as np
import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.preferences import Answer, Query, Ranking
from rlhf_gym.quality.agreement import intransitive_triples, krippendorff_alpha, ordinal_alpha, pairs, segment_digest

LEFT, RIGHT, TIE, SKIP = Answer


@pytest.mark.parametrize(
    ("observers", "alpha"),
    [
        ("0 1 0 0 0 0 0 0 1 0|1 1 1 0 0 1 0 0 0 0", 0.095),
        ("a a b b d c c c e d d a|b a b b b c c c e d d d", 0.692),
        (
            "1 2 3 3 2 1 4 1 2 . . .|1 2 3 3 2 2 4 1 2 5 . 3|. 3 3 3 2 3 4 2 2 5 1 .|1 2 3 3 2 4 4 1 2 5 1 .",
            (39 * 32 - 344) / (40 * 39 - 344),  # 0.743: of 40 pairable values, 32 in agreeing pairs; sum n(n - 1) = 344
        ),
    ],
)
def test_alpha_is_that_of_krippendorffs_own_examples(observers, alpha):
    """Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", sections A, B and C; an observer a line."""
    lines = [line.split() for line in observers.split("|")]
    units = [[value for value in unit if value != "."] for unit in zip(*lines, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(alpha, abs=5e-4)


def test_ordinal_alpha_is_that_of_krippendorffs_own_example():
    """Krippendorff (2011), section D, on the data of section C."""
    lines = "1 2 3 3 2 1 4 1 2 . . .|1 2 3 3 2 2 4 1 2 5 . 3|. 3 3 3 2 3 4 2 2 5 1 .|1 2 3 3 2 4 4 1 2 5 1 ."
    units = [
        [int(value) for value in unit if value != "."] for unit in zip(*map(str.split, lines.split("|")), strict=True)
    ]
    assert ordinal_alpha(units) == pytest.approx(0.815, abs=5e-4)


@pytest.mark.parametrize(
    ("units", "alpha"),
    [
        ([[2, 2], [5, 5], [1, 1]], 1.0),
        # Four values, of each two: they differ by (4 - 2) ** 2 = 4, so 1 - 3 * (4 + 4) / (2 * 2 * 4).
        ([[1, 2], [2, 1]], -0.5),
        # 1 three times, 2 once, 3 twice: by chance 3 * 1 * 2**2 + 3 * 2 * 3.5**2 + 1 * 2 * 1.5**2 = 90, and 4 differs.
        ([[1, 1], [1, 2], [3, 3], [1]], 1 - 5 * 4 / 90),
        # With 3 in place of 2 each is there three times: by chance 3 * 3 * (6 - 3)**2 = 81, and 9 differs.
        ([[1, 1], [1, 3], [3, 3]], 1 - 5 * 9 / (3 * 3 * 9)),
        ([[4, 4], [4, 4]], None),
        ([[1], [2]], None),
    ],
)
def test_ordinal_alpha_counts_how_many_values_lie_between_two(units, alpha):
    assert ordinal_alpha(units) == (alpha if alpha is None else pytest.approx(alpha))


def test_two_who_always_say_the_opposite_are_below_chance():
    # Three units, all values differ: (6 - 1) * 6 / (36 - 9 - 9) = 5 / 3.
    assert krippendorff_alpha([["l", "r"], ["r", "l"], ["l", "r"]]) == pytest.approx(1 - 5 / 3)


@pytest.mark.parametrize("units", [[], [["l"], ["r"]], [["l", "l"], ["l", "l", "l"], ["r"]]])
def test_alpha_cannot_be_told_without_two_judgements_and_two_values(units):
    assert krippendorff_alpha(units) is None


A, B, C, D = (example_queries(1, seed=seed)[0].left for seed in range(4))


def compared(*judgements):
    return [(Query((left, right), id=str(i)), answer) for i, (left, right, answer) in enumerate(judgements)]


@pytest.mark.parametrize(
    ("third", "contradictions"), [((C, A, LEFT), 1), ((C, A, RIGHT), 0), ((A, C, RIGHT), 1), ((C, A, TIE), 1)]
)
def test_what_is_better_than_the_better_one_has_to_be_better(third, contradictions):
    assert intransitive_triples(compared((A, B, LEFT), (C, B, RIGHT), third)) == (contradictions, 1)


def test_two_differences_too_small_to_see_may_add_up_to_one_that_is_seen():
    assert intransitive_triples(compared((A, B, TIE), (B, C, TIE), (A, C, LEFT))) == (0, 1)


def test_a_triple_counts_only_if_all_its_pairs_were_judged():
    assert intransitive_triples(compared((A, B, LEFT), (B, C, LEFT), (C, A, SKIP), (C, D, LEFT))) == (0, 0)


def test_four_segments_all_compared_make_four_triples():
    said = compared((A, B, LEFT), (B, C, LEFT), (C, A, LEFT), (A, D, LEFT), (B, D, LEFT), (C, D, LEFT))
    assert intransitive_triples(said) == (1, 4)  # D is worst in the other three


def test_the_majority_about_a_pair_counts_whichever_side_was_left():
    said = compared((A, B, LEFT), (B, A, RIGHT), (A, B, RIGHT), (B, C, LEFT), (C, A, LEFT))
    assert intransitive_triples(said) == (1, 1)


def test_a_segment_is_known_again_in_another_query():
    copy = replace(A, observations=A.observations.copy(), rewards=A.rewards + 1, origin=None)
    assert segment_digest(copy) == segment_digest(A) != segment_digest(B)


@pytest.mark.parametrize("change", [{"terminated": not A.terminated}, {"actions": A.actions.astype(np.int32)}])
def test_a_segment_that_ends_otherwise_or_holds_other_arrays_is_another(change):
    assert segment_digest(replace(A, **change)) != segment_digest(A)


def test_a_ranking_judges_each_two_of_its_options():
    assert pairs(Ranking(((2,), (0, 1))), 3) == {(0, 1): TIE, (0, 2): RIGHT, (1, 2): RIGHT}
    assert pairs(LEFT, 2) == {(0, 1): LEFT} and pairs(SKIP, 3) == {}


def test_a_ranking_alone_makes_triples_without_contradictions_and_comparisons_may_contradict_it():
    ranked = (Query((A, B, C), id="r", kind="ranking"), Ranking(((0,), (1,), (2,))))
    assert intransitive_triples([ranked]) == (0, 1)
    against = compared((C, A, LEFT), (C, A, LEFT))
    assert intransitive_triples([ranked, *against]) == (1, 1)  # two of three say that C is better than A
