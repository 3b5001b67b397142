"""Flaws by their statistics, and B-Pref's definitions by hand (Lee et al. 2021, section 3 and its code)."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from rlhf_gym.contracts import check_teacher, example_queries
from rlhf_gym.preferences import Answer, Query, Ranking, Shown
from rlhf_gym.segments import Segment
from rlhf_gym.teachers.noisy import NoisyTeacher

N = 4000
ALL = {"beta": 2.0, "gamma": 0.9, "eps_mistake": 0.1, "eps_skip": 0.1, "eps_equal": 0.1, "left": 0.1, "drift": 0.01}


def segment(*rewards, length=None):
    lived = len(rewards)
    return Segment(
        observations=np.zeros((lived + 1, 1), np.float32),
        actions=np.zeros(lived, np.int64),
        rewards=np.array(rewards, np.float64),
        length=length or lived,
        terminated=length is not None,
        earlier_actions=np.zeros(0, np.int64),
    )


def query(*options, kind="comparison"):
    options = tuple(option if isinstance(option, Segment) else segment(*option) for option in options)
    return Query(options, id="q", kind=kind)


def answers(asked, n=N, **options):
    return NoisyTeacher(**{"seed": 3, **options}).answer([asked] * n)


def one(asked, **options):
    return answers(asked, 1, **options)[0]


def is_rate(hits, n, rate):
    """A test at 1 in 10,000, on fixed seeds: it holds or it doesn't."""
    return binomtest(int(hits), n, rate).pvalue > 1e-4


@pytest.mark.parametrize("options", [{}, ALL, {**ALL, "standardise": True}], ids=["none", "all", "standardised"])
def test_with_any_flaws_the_contract_is_kept(options):
    check_teacher(lambda: NoisyTeacher(seed=5, **options))
    check_teacher(lambda: NoisyTeacher(seed=5, **options), example_queries(30, seed=2))


def test_without_flaws_it_is_the_oracle():
    assert one(query([1, 0], [0, 0.5])) is Answer.LEFT
    assert one(query([0, 0.5], [1, 0])) is Answer.RIGHT
    assert one(query([1, 0], [0, 1])) is Answer.TIE
    assert one(query([1], [3], [2], kind="ranking")) == Ranking(((1,), (2,), (0,)))


@pytest.mark.parametrize("gap", [0.0625, 0.5, 1, 2])
@pytest.mark.parametrize("beta", [0.5, 1, 2])
def test_answers_are_boltzmann_on_a_grid_of_gaps(beta, gap):
    right = sum(answer is Answer.RIGHT for answer in answers(query([0.0, 1], [gap, 1]), beta=beta))
    assert is_rate(right, N, 1 / (1 + math.exp(-beta * gap)))


def test_rankings_are_plackett_luces_of_three_options():
    worth, n = [0.0, 0.5, 1.0], N
    found = answers(query([0], [0.5], [1.0], kind="ranking"), n, beta=1.5)
    weight = np.exp(1.5 * np.array(worth))
    for order in ((2, 1, 0), (0, 1, 2), (1, 2, 0)):
        probability, left = 1.0, list(range(3))
        for option in order:
            probability *= weight[option] / weight[left].sum()
            left.remove(option)
        hits = sum(ranking == Ranking(tuple((option,) for option in order)) for ranking in found)
        assert is_rate(hits, n, probability)


@pytest.mark.parametrize("eps", [0.1, 0.3])
def test_so_many_answers_are_mistakes(eps):
    assert is_rate(sum(a is Answer.LEFT for a in answers(query([0], [1]), eps_mistake=eps)), N, eps)
    ranked = answers(query([3], [2], [1], kind="ranking"), eps_mistake=eps)
    right = Ranking(((0,), (1,), (2,)))
    assert is_rate(sum(ranking != right for ranking in ranked), N, eps)
    assert len(set(map(str, ranked))) == 4  # each pair may have changed places


def test_a_mistake_comes_after_the_draw():
    """Flipped with probability e, B-Pref's step 4: (1 - e) p + e (1 - p)."""
    p = 1 / (1 + math.exp(-1))
    right = sum(a is Answer.RIGHT for a in answers(query([0], [1]), beta=1, eps_mistake=0.2))
    assert is_rate(right, N, 0.8 * p + 0.2 * (1 - p))


def test_the_first_is_chosen_without_a_look_so_often():
    assert is_rate(sum(a is Answer.LEFT for a in answers(query([0], [1]), left=0.3)), N, 0.3)
    assert is_rate(sum(a is Answer.LEFT for a in answers(query([1], [1]), left=0.3)), N, 0.3)  # else a tie
    shown = Ranking(((0,), (1,), (2,)))
    assert is_rate(sum(a == shown for a in answers(query([1], [3], [2], kind="ranking"), left=0.3)), N, 0.3)


def test_mistakes_drift_up_to_a_coin():
    found = np.array([a is Answer.LEFT for a in answers(query([0], [1]), eps_mistake=0.1, drift=0.02)])
    assert is_rate(found[:100].sum(), 100, 0.11)
    assert is_rate(found[900:1100].sum(), 200, 0.3)
    assert is_rate(found[2000:].sum(), N - 2000, 0.5)


def test_a_skipped_query_tires_nobody():
    teacher = NoisyTeacher(eps_skip=1.0, drift=1.0, seed=0)
    assert teacher.answer([query([1], [1])] * 500) == [Answer.SKIP] * 500
    assert teacher.answer([query([0], [2])]) == [Answer.RIGHT]


# B-Pref's two thresholds for positive returns, by hand: what is usual is the mean return of the options seen, here
# those of the one query.
@pytest.mark.parametrize(
    ("left", "right", "eps", "expected"),
    [
        (10, 30, 0.9, Answer.RIGHT),  # M = 20, and the better, 30, is more than 18
        (10, 11, 0.1, Answer.RIGHT),  # M = 10.5
        (20, 20, 1.0, Answer.SKIP),  # M = 20, and 20 isn't more
        (-30, -10, 0.9, Answer.RIGHT),  # M = -20: poor is -22 and less
        (-20, -20, 1.0, Answer.SKIP),
    ],
)
def test_a_query_is_skipped_unless_its_best_option_is_better_than_the_threshold(left, right, eps, expected):
    assert one(query([left], [right]), eps_skip=eps) is expected


def test_where_what_is_usual_is_nothing_no_query_is_skipped():
    assert one(query([0, 0], [0, 0]), eps_skip=0.1) is Answer.TIE


def test_tied_options_of_a_ranking_have_the_place_of_one_of_them():
    found = answers(query([1], [1], [1.5], kind="ranking"), beta=1)
    first = sum(ranking == Ranking(((0, 1), (2,))) for ranking in found)
    assert is_rate(first, N, 1 / (1 + math.exp(0.5)))


def test_the_thresholds_follow_the_options_seen():
    for sign, poor, fine in ((1, 9, 11), (-1, -193, -189)):  # M nearly +-100: a tenth of it, or as far below
        teacher = NoisyTeacher(eps_skip=0.1, seed=0)
        teacher.answer([query([sign * 100], [sign * 100])] * 300)
        assert teacher.answer([query([poor], [poor - 0.5]), query([fine + 1], [fine])]) == [Answer.SKIP, Answer.LEFT]


@pytest.mark.parametrize("sign", [1, -1])
def test_nearly_equal_options_are_a_tie_whatever_was_drawn_or_mistaken(sign):
    close, apart = query([sign * 100], [sign * 109]), query([sign * 100], [sign * 112])  # M = +-104.5, +-106
    noisy = {"eps_equal": 0.1, "beta": 0.01, "eps_mistake": 0.5}
    assert set(answers(close, 200, **noisy)) == {Answer.TIE}
    assert set(answers(apart, 200, **noisy)) == {Answer.LEFT, Answer.RIGHT}


def test_of_a_ranking_those_near_the_best_of_theirs_are_tied():
    asked = query([100], [96], [80], [79], [50], kind="ranking")  # M = 81: a threshold of 8.1
    assert one(asked, eps_equal=0.1) == Ranking(((0, 1), (2, 3), (4,)))


def test_a_myopic_teacher_minds_the_end_most():
    early, late = segment(1.1, 0, 0), segment(0, 0, 1.0)
    assert one(query(early, late)) is Answer.LEFT
    assert one(query(early, late), gamma=0.9) is Answer.RIGHT  # 1.1 x 0.81 < 1
    ended, whole = segment(1.0, 1.0, length=4), segment(0, 0, 0, 2.0)
    assert one(query(ended, whole), gamma=0.9) is Answer.RIGHT  # 0.9^3 + 0.9^2 < 2, and R is the same


def test_beta_may_be_per_standard_deviation():
    """Two options, each as often: they lie 2 standard deviations apart, whatever the unit."""
    for unit in (0.001, 1000):
        right = sum(a is Answer.RIGHT for a in answers(query([0], [unit]), beta=0.5, standardise=True))
        assert is_rate(right, N, 1 / (1 + math.exp(-1)))


def test_a_goal_counts_in_place_of_the_environments_reward():
    def goal(observations, actions, next_observations):
        return -np.ones(len(actions))

    assert one(query(segment(1, length=2), segment(1, 1)), goal=goal) is Answer.LEFT
    assert one(query(segment(1, length=2), segment(1, 1)), goal=goal, gamma=0.5) is Answer.LEFT


def test_what_it_shows_is_without_flaws_and_tires_it_not():
    better, worse = segment(1, 1), segment(0, 0)
    teacher = NoisyTeacher(seed=3, eps_mistake=1.0, eps_skip=1.0, left=1.0, shows=lambda asked: better)
    assert teacher.answer([query(worse, kind="correction")] * 20) == [Shown(better)] * 20
    assert teacher.answer([query(better, kind="correction")]) == [Answer.SKIP]  # no better than what it would correct
    assert teacher.save_state()["answered"] == 0


def test_one_flaw_leaves_the_chance_of_the_others_alone():
    asked = query([0], [1])
    plain, also = answers(asked, 300, beta=1), answers(asked, 300, beta=1, eps_mistake=0.1)
    assert 0 < sum(a is not b for a, b in zip(plain, also, strict=True)) < 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0}, "teacher_options.beta is 0; use a number above 0"),
        ({"gamma": 1.5}, "teacher_options.gamma is 1.5; use a number above 0 up to 1"),
        ({"eps_mistake": -0.1}, "teacher_options.eps_mistake is -0.1; use a number from 0 up to 1"),
        ({"left": math.nan}, "teacher_options.left is nan; use a number from 0 up to 1"),
        ({"standardise": "no"}, "teacher_options.standardise is 'no'; use true or false"),
        ({"drift": "much"}, "teacher_options.drift is 'much'; use a number from 0 up to 1"),
    ],
)
def test_a_number_out_of_range_is_one_line(options, message):
    with pytest.raises(ValueError, match="^" + message.replace("'", ".") + "$"):
        NoisyTeacher(seed=0, **options)
