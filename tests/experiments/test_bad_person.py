from types import SimpleNamespace

import numpy as np

from experiments.measurements import bad_person
from rlhf_gym.contracts import example_queries
from rlhf_gym.preferences import Answer, Preference

LEFT, RIGHT = Answer.LEFT, Answer.RIGHT


def person(who, better, low, high):
    return SimpleNamespace(who=who, better=better, interval=(low, high))


def test_a_majority_is_what_two_of_three_said():
    one, other = example_queries(2)
    said = [(one, LEFT), (other, RIGHT), (one, RIGHT), (other, RIGHT), (one, LEFT), (other, LEFT)]
    votes = bad_person.majority([Preference(query, answer, "somebody") for query, answer in said])
    assert [(p.query.id, p.answer) for p in votes] == [(one.id, LEFT), (other.id, RIGHT)]


def test_somebody_is_named_only_where_the_intervals_leave_no_doubt():
    good, better = person("good", 0.9, 0.7, 0.95), person("better", 0.95, 0.8, 0.99)
    assert bad_person._apart([good, person("bad", 0.5, 0.3, 0.7), better]) == "bad"
    assert bad_person._apart([good, person("bad", 0.5, 0.3, 0.92), better]) is None
    assert bad_person._apart([person("good", 0.9, 0.45, 0.95), person("bad", 0.5, 0.3, 0.7), better]) is None


def test_one_who_answers_the_wrong_way_round_says_the_opposite_of_a_good_one():
    queries = example_queries(40)
    right, wrong, coin = (bad_person.teacher("bad", bad, None, (0,))(queries) for bad in ("", "wrong", "coin"))
    assert wrong == [answer.mirrored for answer in right]
    assert 5 < sum(one == other for one, other in zip(right, coin, strict=True)) < 35
    assert bad_person.teacher("good", "wrong", None, (0,))(queries) != wrong


def test_each_query_is_answered_by_one_in_turn_or_by_all():
    segments = [option for query in example_queries(20) for option in query.options]
    pool = bad_person.Pool(None, None, segments, (), np.zeros(0), None)
    alone, together = (bad_person.answered(pool, "coin", each, 12, 0) for each in (1, 3))
    assert len(alone) == len(together) == 12
    assert len({p.query.id for p in alone}) == 12 and len({p.query.id for p in together}) == 4
    assert {p.teacher for p in alone} == {p.teacher for p in together} == set(bad_person.PEOPLE)


def test_the_page_has_a_line_for_each_setting():
    same = {"task": "CartPole-v1", "bad": "coin", "people_per_query": "1", "answers": "60", "majority": ""}
    figures = {"plain": "0.7", "reliability": "0.9", "without": "0.91", "found": "1", "false_alarm": "0"}
    sureness = {"sureness_good": "1.2", "sureness_also_good": "1.2", "sureness_bad": "-0.1"}
    rows = [{**same, **figures, **sureness, "seed": str(seed)} for seed in range(2)]
    rows += [{**row, "people_per_query": "3", "majority": "0.8", "found": "0"} for row in rows]
    page = bad_person.page(rows)
    assert "| answers by a coin | 60 | one | 70.0% |  | 90.0% | 91.0% | 1.2 1.2 −0.1 | 2 of 2 |" in page
    assert "| answers by a coin | 60 | all | 70.0% | 80.0% | 90.0% | 91.0% | 1.2 1.2 −0.1 | 0 of 2 |" in page
    assert "finds the bad person in 50%" in page
