"""Reliability of simulated people, whose sureness is known: statistics on fixed seeds."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binomtest

from rlhf_gym.preferences import Answer, Query, Ranking
from rlhf_gym.quality import QualityReport, Reliability, Share, reliabilities
from rlhf_gym.segments import Segment

ANSWERS = (Answer.LEFT, Answer.RIGHT, Answer.TIE)


def segment(states):
    steps = len(states) - 1
    return Segment(
        states.astype(np.float32), np.zeros(steps, np.int64), np.zeros(steps), steps, False, np.zeros(0, np.int64)
    )


def said(people, n, *, seed=0, shared=True, ties=0.0, left=None, by_state=True):
    """What people of these surenesses say of n pairs, all of every pair, or each of pairs of their own."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=3)
    found = {who: [] for who in people}
    for number in range(n):
        states = rng.normal(size=(2, 6, 3))
        worth = states[:, 1:].mean(axis=1) @ weights * np.sqrt(5) / np.linalg.norm(weights)
        better = (worth[0] - worth[1]) / np.sqrt(2) if by_state else rng.normal()
        query = Query(tuple(map(segment, states)), id=f"q{number}")
        for who in people if shared else [list(people)[number % len(people)]]:
            logit = people[who] * better + (left or {}).get(who, 0.0)
            odds = np.array([np.exp(logit / 2), np.exp(-logit / 2), ties])
            found[who].append((query, ANSWERS[rng.choice(3, p=odds / odds.sum())]))
    return found


def by_name(answers):
    return {one.who: one for one in reliabilities(answers)}


@pytest.mark.parametrize(("shared", "n"), [(True, 60), (False, 240)], ids=["shared", "own"])
def test_one_like_a_coin_and_one_with_the_opposite_in_mind_are_found(shared, n):
    """With pairs of their own, too: states tell what others would have said."""
    found = by_name(said({"ann": 3, "bob": 3, "coin": 0, "other": -3}, n, seed=6, shared=shared))
    assert found["ann"].verdict == found["bob"].verdict == "reliable"
    assert found["other"].verdict == "has the opposite in mind"
    assert found["coin"].interval[0] < 0.5 < found["coin"].interval[1]


@pytest.mark.slow
def test_intervals_hold_what_they_are_about():
    people, left = {"sure": 2.0, "less": 1.0, "hardly": 0.3}, {"less": 0.8}
    hits = sides = trials = 0
    for seed in range(20):
        found = by_name(said(people, 60, seed=seed, ties=0.4, left=left, by_state=seed % 2 == 0))
        for who, one in found.items():
            trials += 1
            hits += one.interval[0] <= expit(people[who]) <= one.interval[1]
            sides += one.left_interval[0] <= expit(left.get(who, 0.0)) <= one.left_interval[1]
    assert binomtest(hits, trials, 0.95).pvalue > 0.01 and binomtest(sides, trials, 0.95).pvalue > 0.01


def test_a_pull_to_the_left_is_told_from_taste():
    found = by_name(said({"ann": 2, "bob": 2, "lefty": 2}, 80, seed=1, left={"lefty": 2.0}))
    assert found["lefty"].left_interval[0] > 0.6 > found["ann"].left
    assert found["lefty"].better > 0.6


def test_it_does_not_matter_which_way_round_a_pair_is_shown():
    answers = said({"ann": 2, "bob": 2}, 40, seed=2)
    turned = {
        who: [(Query(q.options[::-1], id=q.id), a.mirrored) if i % 2 else (q, a) for i, (q, a) in enumerate(mine)]
        for who, mine in answers.items()
    }
    assert by_name(turned)["ann"].better == pytest.approx(by_name(answers)["ann"].better, abs=0.1)


def test_rankings_count_by_their_pairs_and_have_no_side():
    rng = np.random.default_rng(0)
    answers = {"ann": [], "bob": [], "coin": []}
    for number in range(15):
        states = rng.normal(size=(4, 6, 3))
        query = Query(tuple(map(segment, states)), id=f"r{number}", kind="ranking")
        order = np.argsort(-states[:, 1:, 0].mean(axis=1))
        for who in answers:
            told = rng.permutation(4) if who == "coin" else order
            answers[who].append((query, Ranking(tuple((int(option),) for option in told))))
    found = by_name(answers)
    assert found["ann"].verdict == found["bob"].verdict == "reliable" and found["coin"].verdict != "reliable"
    assert found["ann"].left == pytest.approx(0.5, abs=1e-3)


def test_of_many_pairs_everybody_has_some_that_are_looked_at():
    mine, shared = said({"ann": 2, "bob": 2}, 700, shared=False), said({"ann": 2, "carl": 2}, 30, seed=1)
    answers = {"ann": mine["ann"] + shared["ann"], "bob": mine["bob"], "carl": shared["carl"]}
    found = by_name(answers)
    assert found.keys() == {"ann", "bob", "carl"}
    assert found["bob"].better > 0.6


def test_of_one_person_or_of_skips_alone_nothing_is_told():
    assert reliabilities({}) == []
    assert reliabilities(said({"ann": 2}, 10)) == []
    skipped = {who: [(q, Answer.SKIP) for q, _ in mine] for who, mine in said({"ann": 2, "bob": 2}, 5).items()}
    assert reliabilities(skipped) == []


def test_a_single_answer_each_tells_next_to_nothing():
    for one in reliabilities(said({"ann": 2, "bob": 2}, 1)):
        assert one.verdict == "can't be told" and one.interval[1] - one.interval[0] > 0.5


def test_the_share_of_random_answers_is_what_would_make_the_surest_as_unsure():
    """Of a person who chooses the better of two by 95 %, a coin's answers in the place of half of them leave 72.5 %."""
    found = by_name(said({"ann": 3, "half": float(np.log(0.725 / 0.275)), "coin": 0, "other": -3}, 150, seed=6))
    assert found["ann"].at_random == pytest.approx(0, abs=0.1)
    assert found["half"].at_random == pytest.approx(0.5, abs=0.15)
    assert found["coin"].at_random is None or found["coin"].at_random > 0.8
    assert found["other"].at_random is None


def test_the_share_of_ties_between_equal_ones_is_learned():
    """Odds of a tie of 0.5 beside 1 for either side: one in five."""
    found = reliabilities(said({"ann": 2, "bob": 2}, 150, ties=0.5))
    assert {one.tied for one in found} == {found[0].tied}
    assert found[0].tied == pytest.approx(0.2, abs=0.06)
    assert reliabilities(said({"ann": 2, "bob": 2}, 150))[0].tied < 0.02


def test_the_report_names_the_most_reliable_first():
    people = (
        Reliability("bob", 0.5, (0.4, 0.6), 0.5, (0.4, 0.6)),
        Reliability("ann\n", 0.9, (0.8, 0.95), 0.7, (0.6, 0.8), 0.25, 0.2),
    )
    nothing = Share(0, 0)
    text = QualityReport((), None, 0, nothing, nothing, nothing, reliability=people).as_text().splitlines()
    (ann, bob) = [line for line in text if line.startswith(("ann", "bob"))]
    assert ann.startswith(r"ann\n") and "90% (80% to 95%)" in ann and "70% (60% to 80%)" in ann
    assert "25%" in ann and "of two options that are as good, 20% are tied (Davidson's model)" in text
    assert ann.endswith("reliable") and bob.endswith("like a coin")
