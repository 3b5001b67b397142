import json
from dataclasses import dataclass, replace

import pytest

from rlhf_gym.contracts import example_queries
from rlhf_gym.preferences import CHECK, MIRRORED, REPEAT, Answer, Level, Ranking, Stop
from rlhf_gym.quality.assessment import assess
from rlhf_gym.quality.report import OrdinalAgreement, Share

LEFT, RIGHT, TIE, SKIP = Answer
PLAIN = [replace(query, repeats=None) for query in example_queries(8)]


@dataclass(frozen=True)
class Row:
    query_id: str
    who: str
    answer: Answer | None
    shown_at: float | None = None
    answered_at: float = 0.0


def rows(who, *answers, queries=PLAIN):
    return [Row(query.id, who, answer) for query, answer in zip(queries, answers, strict=False)]


def again(query, why):
    left, right = (query.right, query.left) if why == MIRRORED else (query.left, query.right)
    return replace(query, options=(left, right), id=f"{why} {query.id}", why=why, repeats=query.id)


def test_seconds_are_quartiles_of_the_time_from_seeing_to_answering():
    history = [Row(q.id, "ann", LEFT, 100.0, 100.0 + s) for q, s in zip(PLAIN, (5, 1, 2, 4, 3), strict=False)]
    history += [Row(PLAIN[5].id, "ann", LEFT)]  # nobody looked
    assert assess(history, PLAIN).people[0].seconds == (2, 3, 4)
    assert assess(history[-1:], PLAIN).people[0].seconds is None


def test_a_clock_set_back_makes_no_negative_seconds():
    assert assess([Row(PLAIN[0].id, "ann", LEFT, 3700.0, 100.0)], PLAIN).people[0].seconds == (0, 0, 0)


def test_side_bias_is_the_share_of_left_with_its_exact_interval():
    [ann] = assess(rows("ann", LEFT, LEFT, LEFT, RIGHT, TIE, SKIP), PLAIN).people
    assert (ann.left, ann.answers) == (Share(3, 4), 6)
    # Clopper and Pearson for 3 of 4, to four places: roots of P(X >= 3) = 0.025 and P(X <= 3) = 1 - p^4 = 0.025.
    assert ann.left.interval == pytest.approx((0.1941, 0.9937), abs=5e-5)
    assert (1 - ann.left.interval[1] ** 4) == pytest.approx(0.025)
    assert (ann.ties, ann.skips) == (Share(1, 5), Share(1, 6))


def test_an_answer_taken_back_counts_only_as_undone_and_the_last_one_stands():
    taken_back = [Row("0-0", "ann", None), Row("0-1", "ann", None), Row("0-0", "ann", None)]  # the last had nothing to
    history = [*rows("ann", LEFT, LEFT), *taken_back, Row("0-1", "ann", TIE)]
    [ann] = assess(history, PLAIN[1:2]).people  # the first query has no standing answer, so it may be missing
    assert (ann.answers, ann.undone, ann.ties) == (1, 2, Share(1, 1))


def test_a_query_that_was_answered_has_to_be_given():
    with pytest.raises(ValueError, match="queries lack '0-1', to which ann's answer stands; pass it as well"):
        assess(rows("ann", LEFT, LEFT), PLAIN[:1])


@pytest.mark.parametrize(
    ("why", "consistent"), [(REPEAT, [LEFT, RIGHT, TIE, RIGHT]), (MIRRORED, [RIGHT, LEFT, TIE, LEFT])]
)
def test_who_says_the_same_about_a_pair_asked_again_is_consistent(why, consistent):
    repeats = [again(query, why) for query in PLAIN[:4]]
    first, asked = rows("ann", LEFT, RIGHT, TIE, RIGHT), [*PLAIN, *repeats]
    [ann] = assess(first + rows("ann", *consistent, queries=repeats), asked).people
    [bob] = assess(first + rows("ann", LEFT, LEFT, LEFT, LEFT, queries=repeats), asked).people
    other = {REPEAT: "mirrored", MIRRORED: "repeated"}[why]
    mine = {REPEAT: "repeated", MIRRORED: "mirrored"}[why]
    assert (getattr(ann, mine), getattr(ann, other)) == (Share(4, 4), Share(0, 0))
    assert getattr(bob, mine) == Share({REPEAT: 1, MIRRORED: 2}[why], 4)


def test_a_repeat_tells_nothing_about_who_skipped_it_or_never_saw_the_first():
    repeats = [again(query, REPEAT) for query in PLAIN[:3]]
    history = rows("ann", LEFT, SKIP) + rows("ann", SKIP, LEFT, queries=repeats) + rows("bob", RIGHT, queries=repeats)
    ann, bob = assess(history, [*PLAIN, *repeats]).people
    assert (ann.repeated, bob.repeated) == (Share(0, 0), Share(0, 0))


@pytest.mark.parametrize("mine", [(Level(5, 5), Level(1, 5)), (0, 1)])  # graded; "the first", "the second"
def test_mirrored_repeats_of_a_kind_of_ones_own_are_left_out(mine):
    repeats = [again(PLAIN[0], REPEAT), again(PLAIN[1], MIRRORED)]
    history = rows("ann", mine[0], mine[0]) + rows("ann", mine[0], mine[1], queries=repeats)
    found = assess(history, [*PLAIN, *repeats])
    assert (found.people[0].repeated, found.people[0].mirrored) == (Share(1, 1), Share(0, 0))


def test_a_rating_asked_again_in_reverse_is_the_same_rating():
    first = replace(PLAIN[0], options=PLAIN[0].options[:1], kind="rating")
    repeat = replace(first, id="again", why=MIRRORED, repeats=first.id)
    [ann] = assess(rows("ann", Level(2, 5)) + rows("ann", Level(2, 5), queries=[repeat]), [first, repeat]).people
    assert ann.mirrored == Share(1, 1)


def test_an_attention_check_is_passed_by_the_side_that_its_value_names():
    values = (0.9, -0.9, 0.9, 0.9, -0.9)
    checks = [replace(query, why=CHECK, value=v) for query, v in zip(PLAIN, values, strict=False)]
    [ann] = assess(rows("ann", LEFT, RIGHT, RIGHT, TIE, SKIP, queries=checks), checks).people
    assert ann.checks == Share(2, 4)


def test_agreement_is_taken_over_pairs_that_several_judged_skips_left_out():
    history = rows("ann", LEFT, LEFT, RIGHT, SKIP) + rows("bob", LEFT, RIGHT, RIGHT, LEFT)
    found = assess(history, PLAIN)
    # Three pairs: LL, LR, RR. Three values each; one pair differs: 1 - (6 - 1) * 2 / (36 - 9 - 9).
    assert (found.shared, found.alpha) == (3, pytest.approx(1 - 10 / 18))


def test_a_mirrored_repeat_shown_to_somebody_else_counts_as_the_same_pair():
    mirrored = [again(query, MIRRORED) for query in PLAIN[:2]]
    history = rows("ann", LEFT, RIGHT) + rows("bob", RIGHT, LEFT, queries=mirrored)
    assert (assess(history, [*PLAIN, *mirrored]).shared, assess(history, [*PLAIN, *mirrored]).alpha) == (2, 1)


def test_one_persons_repeats_are_no_agreement_between_people():
    repeats = [again(query, REPEAT) for query in PLAIN[:2]]
    found = assess(rows("ann", LEFT, RIGHT) + rows("ann", LEFT, RIGHT, queries=repeats), [*PLAIN, *repeats])
    assert (found.shared, found.alpha) == (0, None)


def test_agreement_on_ratings_and_switch_offs_is_ordinal_and_told_by_kind():
    rated = [replace(q, options=q.options[:1], kind="rating") for q in PLAIN[:3]]
    stopped = [replace(q, options=q.options[:1], kind="switch_off", id=f"s{q.id}") for q in PLAIN[:3]]
    repeat = replace(rated[0], id="again", why=REPEAT, repeats=rated[0].id)
    history = [
        *rows("ann", Level(1, 5), Level(2, 5), SKIP, queries=rated),
        *rows("bob", Level(2, 5), Level(1, 5), Level(3, 5), queries=rated),
        *rows("bob", Level(5, 5), queries=[repeat]),
        *(row for who in ("ann", "bob") for row in rows(who, Stop(3, 8), Stop(8, 8), Stop(1, 8), queries=stopped)),
    ]
    found = assess(history, [*rated, *stopped, repeat])
    assert found.ordinal == (OrdinalAgreement("rating", -0.5, 2), OrdinalAgreement("switch_off", 1.0, 3))
    assert (found.shared, found.as_dict()["ordinal"][1]) == (0, {"kind": "switch_off", "alpha": 1.0, "shared": 3})
    lines = found.as_text().splitlines()
    assert "agreement on rating (Krippendorff's alpha, ordinal): -0.50; queries that several judged: 2" in lines


def test_contradictions_are_counted_over_everybody():
    a, b, c = PLAIN[0].left, PLAIN[1].left, PLAIN[2].left
    round_about = [replace(PLAIN[i], options=(x, y)) for i, (x, y) in enumerate([(a, b), (b, c), (c, a)])]
    history = rows("ann", LEFT, LEFT, queries=round_about) + rows("bob", LEFT, queries=round_about[2:])
    assert assess(history, round_about).intransitive == Share(1, 1)


def test_the_text_names_everybody_and_every_figure():
    history = [Row("0-0", "ann", LEFT, 1.0, 4.5), Row("0-1", "ann", TIE, 5.0, 6.5), *rows("bob", LEFT, LEFT)]
    lines = assess(history, PLAIN).as_text().splitlines()
    assert lines[0].split() == "who answers undone seconds left repeats mirrored checks ties skips".split()
    assert lines[1].split()[:7] == ["ann", "2", "0", "2.5", "(2.0", "to", "3.0)"]
    assert "100% (3% to 100%)" in lines[1] and "1 of 2" in lines[1]
    assert lines[2].split()[:4] == ["bob", "2", "0", "-"]
    # LL and TL: three L and one T; (4 - 1) * 2 / (16 - 9 - 1) = 1.
    assert "Krippendorff's alpha): 0.00; pairs that several judged: 2" in lines[-3]


def test_a_name_cannot_steer_the_terminal():
    assert r"a\x1b[2Jn" in assess(rows("a\x1b[2Jn", LEFT), PLAIN).as_text()


def test_without_answers_the_report_says_so():
    text = assess([], []).as_text()
    assert text.startswith("nobody has answered yet") and "can't be told" in text


def test_the_page_gets_everything_as_json():
    found = json.loads(json.dumps(assess(rows("ann", LEFT, TIE), PLAIN).as_dict()))
    assert found["people"][0]["who"] == "ann" and found["alpha"] is None
    assert found["people"][0]["left"] == {"hits": 1, "of": 1, "share": 1, "interval": [pytest.approx(0.025), 1]}
    assert found["ties"]["share"] == 0.5 and found["intransitive"]["interval"] is None


def ranked(who, query, *groups):
    return Row(query.id, who, Ranking(groups))


def test_rankings_count_as_answers_and_their_pairs_for_agreement():
    first, second = (replace(query, repeats=None) for query in example_queries(2, seed=3, kind="ranking"))
    assert len(first.options) == 3
    history = [ranked("ann", first, (0,), (1,), (2,)), ranked("bob", first, (1,), (0,), (2,))]
    history += [Row(second.id, "ann", SKIP), *rows("ann", TIE, LEFT), *rows("bob", LEFT)]
    found = assess(history, [first, second, *PLAIN])
    ann, bob = found.people
    assert (ann.answers, ann.left, ann.ties, ann.skips) == (4, Share(1, 1), Share(1, 2), Share(1, 4))
    assert (found.rankings, found.ties, found.skips) == (2, Share(1, 3), Share(1, 6))
    # Shared pairs, from the lower place: LR, LL, LL of the rankings and TL of a comparison. Six L, one R, one T.
    # By chance 64 - 36 - 1 - 1 of 56 ordered pairs differ, within the pairs 2 + 2 of 8.
    assert (found.shared, found.alpha) == (4, pytest.approx(1 - (4 / 8) / (26 / 56)))
    assert "rankings: 2; each two of their options count as a pair" in found.as_text().splitlines()[-1]


@pytest.mark.parametrize(("why", "again_groups"), [(REPEAT, ((2,), (0, 1))), (MIRRORED, ((0,), (1, 2)))])
def test_who_ranks_alike_when_asked_again_is_consistent(why, again_groups):
    query = replace(example_queries(1, seed=3, kind="ranking")[0], repeats=None)
    options = query.options[::-1] if why == MIRRORED else query.options
    repeat = replace(query, options=options, id="again", why=why, repeats=query.id)
    history = [ranked("ann", query, (2,), (1, 0)), ranked("ann", repeat, *again_groups)]
    [ann] = assess(history, [query, repeat]).people
    assert {REPEAT: ann.repeated, MIRRORED: ann.mirrored}[why] == Share(1, 1)
