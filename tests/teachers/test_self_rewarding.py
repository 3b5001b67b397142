"""The reward as its own teacher: what it may answer, when it has to take it back, and that it can't run away."""

from collections import Counter
from contextlib import closing
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from rlhf_gym.answers import Answers
from rlhf_gym.asking import Asking
from rlhf_gym.config import RLHFConfig
from rlhf_gym.contracts import check_teacher, example_queries
from rlhf_gym.preferences import CHECK, HELDOUT, MIRRORED, OWN, REPEAT, Answer, Preference
from rlhf_gym.registry import make
from rlhf_gym.rlhf import RLHF
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import (
    NoisyTeacher,
    OracleTeacher,
    Panel,
    People,
    RandomTeacher,
    SelfRewardingTeacher,
    true_returns,
)


class Learned:
    """A reward of three members: what each thinks of the left option, by `left`, a function of how far it is ahead."""

    def __init__(self, *left):
        self.left = left

    def __call__(self, queries):
        ahead = np.array([np.subtract(*true_returns(query.options)) for query in queries])
        left = np.stack([np.vectorize(member, otypes=[float])(ahead) for member in self.left])
        return np.stack([left, 1 - left], axis=-1)


def knows(ahead):
    return 0.99 if ahead > 0 else 0.01


def thinks_the_opposite(ahead):
    return 1 - knows(ahead)


def doubts(ahead):
    return 0.9 if ahead > 0 else 0.1


SURE, WRONG, UNSURE = [Learned(*[member] * 3) for member in (knows, thinks_the_opposite, doubts)]


FRESH = count(1000)


def draw(numbers):
    """Draws fresh comparisons; notes how many were asked for in `numbers`."""

    def drawn(n, asked):
        numbers.append(n)
        return [replace(query, why=OWN, repeats=None) for query in example_queries(n, seed=next(FRESH))]

    return drawn


def teacher(learned=SURE, true=None, **options):
    drawn = []
    made = SelfRewardingTeacher(true or OracleTeacher(), probabilities=learned, draw=draw(drawn), **options)
    made.drawn = drawn
    return made


def answers_of(made, *, budget=1000, store=None):
    answers = Answers(store or PreferenceStore(), made)
    answers.asking = Asking(answers, budget=budget)
    answers.seeds = count()
    return answers


def a_round(answers, more, **how):
    """Have further labels given; fit, if that is called for; returns whether it was."""
    for n, people in answers.asking.missing(answers.labels + more, last=True, step=0):
        queries = example_queries(n, seed=next(answers.seeds))
        answers.post([replace(q, repeats=None, **how) for q in queries], people=people)
    if wanted := answers.asking.enough_new:
        answers.fitted()
    return wanted


def own(answers):
    """Its answers that aren't withdrawn."""
    return [p for p in answers.own if p.answer is not Answer.SKIP]


def test_it_keeps_the_contract():
    check_teacher(lambda: teacher(true=NoisyTeacher(eps_mistake=0.3, seed=3)))
    check_teacher(lambda: teacher(true=Panel({"a": OracleTeacher(), "b": RandomTeacher(seed=0)}, each=2, seed=1)))
    check_teacher(lambda: make("teacher", "self", {}, seed=0, offered={"seed": 0}))


def test_it_answers_what_every_member_is_sure_of_once_it_has_foretold_enough():
    with closing(answers_of(teacher())) as answers:
        a_round(answers, 8)
        assert answers.own == []  # nothing was fitted yet
        a_round(answers, 9)
        assert answers.teacher.foretold == (9, 9) and answers.own == []  # nine tell too little
        a_round(answers, 3)
        assert answers.teacher.foretold == (12, 12) and len(own(answers)) == 20
        assert {p.teacher for p in own(answers)} == {OWN} == {p.query.why for p in own(answers)}
        assert [p.answer for p in own(answers)] == OracleTeacher().answer([p.query for p in own(answers)])


def test_its_answers_are_choices_to_fit_to_and_no_labels():
    with closing(answers_of(teacher(), budget=25)) as answers:
        for more in (10, 10, 10):
            a_round(answers, more)
        assert (answers.labels, len(own(answers)), len(answers.choices)) == (25, 25, 50)
        assert {p.teacher for p in answers.preferences} == {"oracle"}
        assert len(answers.asked) == 25 == answers.answered
        assert len({choice.group for choice in answers.choices}) == 50 and answers.open == []
        assert Counter(given.who for given in answers.store.history()) == {"oracle": 25, "self": 25}


@pytest.mark.parametrize(
    ("learned", "own_answers"),
    [
        (Learned(knows, knows, doubts), 0),  # one isn't sure
        (Learned(knows, knows, thinks_the_opposite), 0),  # one is of another opinion
        (Learned(knows, knows, lambda ahead: 0.96 if ahead > 0 else 0.04), 20),
    ],
)
def test_it_answers_nothing_of_which_one_member_is_unsure(learned, own_answers):
    with closing(answers_of(teacher(learned))) as answers:
        a_round(answers, 5)
        a_round(answers, 15)
        assert answers.teacher.trusted and len(answers.own) == own_answers
        assert sum(answers.teacher.drawn) == 200  # pairs were looked at


@pytest.mark.parametrize("learned", [WRONG, Learned(*[lambda ahead: 0.99] * 3)], ids=["opposite", "always left"])
def test_a_reward_that_is_sure_and_wrong_never_answers(learned):
    made = teacher(learned)
    with closing(answers_of(made)) as answers:
        for _ in range(10):
            a_round(answers, 20)
        hits, of = made.foretold
        assert of == 50 and hits < 40 and answers.own == [] and made.drawn == []


def test_no_reward_foretells_a_coin():
    with closing(answers_of(teacher(true=RandomTeacher(seed=0)))) as answers:
        for _ in range(10):
            a_round(answers, 20)
        assert not answers.teacher.trusted and answers.own == []


@pytest.mark.parametrize(("share", "most"), [(0.5, 40), (0.2, 10), (0.75, 120), (0.0, 0), (0.29, 16)])
def test_its_answers_never_exceed_their_share(share, most):
    with closing(answers_of(teacher(share=share))) as answers:
        for more in (10, 13, 4, 6, 7):
            a_round(answers, more)
            assert len(own(answers)) <= share * (answers.labels + len(own(answers))) + 1e-9
        assert (answers.labels, len(own(answers))) == (40, most)


def test_held_out_answers_are_no_reason_for_more_of_its_own():
    with closing(answers_of(teacher())) as answers:
        a_round(answers, 10)
        a_round(answers, 20, why=HELDOUT)
        assert answers.own == []  # nothing to fit to is new
        a_round(answers, 2)
        assert answers.teacher.foretold == (22, 22)  # but they tell how good the reward is
        assert len(own(answers)) == 12 and len(answers.choices) == 24


def test_no_answer_of_its_own_leads_to_a_fit():
    with closing(answers_of(teacher())) as answers:
        assert [a_round(answers, more) for more in (10, 15, 0, 0)] == [True, True, False, False]
        fits, drawn = answers.fits, sum(answers.teacher.drawn)
        assert len(own(answers)) == 25
        answers.teacher._probabilities = WRONG
        assert not a_round(answers, 0)  # nothing that a true teacher said is new
        assert (answers.fits, sum(answers.teacher.drawn), len(own(answers))) == (fits, drawn, 25)


def test_what_it_is_not_sure_of_any_more_is_withdrawn_and_comes_back_when_it_is():
    with closing(answers_of(teacher(), store=PreferenceStore())) as answers:
        a_round(answers, 10)
        a_round(answers, 10)
        before = {p.query.id for p in own(answers)}
        answers.teacher._probabilities = UNSURE
        a_round(answers, 1)
        assert answers.teacher.trusted and len(before) == 20 and own(answers) == []
        assert {p.query.id: p.answer for p in answers.own} == dict.fromkeys(before, Answer.SKIP)
        assert len(answers.choices) == 21 and answers.open == [] and answers.labels == 21
        answers.teacher._probabilities = SURE
        a_round(answers, 1)
        assert before <= {p.query.id for p in own(answers)} and len(own(answers)) == 22
        assert len(answers.store.history("self")) == 20 + 20 + 22  # nothing is overwritten


def test_what_the_reward_now_sees_the_other_way_round_is_answered_anew():
    made = teacher(accuracy=0.0)
    with closing(answers_of(made)) as answers:
        a_round(answers, 10)
        a_round(answers, 10)
        was = {p.query.id: p.answer for p in own(answers)}
        made._probabilities = WRONG
        a_round(answers, 1)
        now = {p.query.id: p.answer for p in own(answers)}
        assert all(now[id_] is answer.mirrored for id_, answer in was.items()) and len(was) == 20


def test_everything_is_withdrawn_when_it_foretells_too_little():
    made = teacher()
    with closing(answers_of(made)) as answers:
        a_round(answers, 10)
        a_round(answers, 20)
        assert made.foretold == (20, 20) and len(own(answers)) == 30
        made._probabilities = WRONG
        a_round(answers, 4)
        assert made.foretold == (20, 24) and made.trusted  # 0.83
        a_round(answers, 1)
        assert made.foretold == (20, 25) and not made.trusted and own(answers) == []  # 0.8 isn't above 0.8
        assert len(answers.choices) == answers.labels == 35


def test_only_plain_new_answers_tell_how_good_the_reward_is():
    made = teacher()
    with closing(answers_of(made)) as answers:
        a_round(answers, 5)
        for why in (REPEAT, MIRRORED, CHECK):
            a_round(answers, 5, why=why)
        assert made.foretold == (0, 0)
        a_round(answers, 5, why="disagreement")
        assert made.foretold == (5, 5)
        ranking = [Preference(q, a, "o") for q in example_queries(3, seed=77, kind="ranking")
                   for a in OracleTeacher().answer([q])]  # fmt: skip
        ties = [Preference(q, Answer.TIE, "o") for q in example_queries(2, seed=78)]
        made.renew([*answers.preferences, *ranking, *ties], [], fitted=True)
        assert made.foretold == (5, 5)


def test_what_a_resumed_run_was_fitted_to_already_tells_nothing(tmp_path):
    with closing(answers_of(teacher(), store=PreferenceStore(tmp_path / "a.db"))) as answers:
        a_round(answers, 10)
        a_round(answers, 10)
        assert len(own(answers)) == 20
    again = answers_of(teacher(), store=PreferenceStore(tmp_path / "a.db"))
    with closing(again):
        again.seeds, again.fits = count(500), 2
        assert len(own(again)) == 20 and len(again.choices) == 40 and again.labels == 20
        a_round(again, 12)
        assert again.teacher.foretold == (0, 0) and own(again) == []  # until it has shown what it knows
        a_round(again, 10)
        assert again.teacher.foretold == (10, 10) and len(own(again)) == 42


def test_the_true_teacher_may_be_a_panel_with_several_answers_each():
    true = Panel({"a": OracleTeacher(), "b": OracleTeacher()}, each=2, seed=0)
    with closing(answers_of(teacher(true=true))) as answers:
        a_round(answers, 10)
        a_round(answers, 10)
        assert Counter(p.teacher for p in answers.preferences) == {"a": 10, "b": 10}
        assert answers.labels == 20 and len(own(answers)) == 20
        a_round(answers, 2)  # what is its own is no label of the budget
        assert answers.labels == 22


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"confidence": 0.4}, "teacher_options.confidence is 0.4; use a number from 0.5 to below 1"),
        ({"share": 1.0}, "teacher_options.share is 1.0; use a number from 0 to below 1"),
        ({"accuracy": True}, "teacher_options.accuracy is True; use a number"),
        ({"teacher": "web"}, "teacher is self, and its true teacher web, where people answer"),
        ({"teacher": "self"}, "teacher is self, and so is its true teacher"),
        ({"teacher": "orakle"}, "teacher is 'orakle'; did you mean oracle?"),
        ({"teacher": "noisy", "options": {"eps": 1}}, "teacher noisy has no option eps"),
        ({"teacher": "noisy", "options": 3}, "teacher_options has teacher 'noisy' and options 3; use a name and a"),
        (
            {"teacher": "panel", "options": {"members": [{"name": "self"}]}},
            "and so is its true teacher panel, or a mem",
        ),
        ({"eps_mistake": 0.1}, "teacher self has no option eps_mistake"),
    ],
)
def test_what_makes_no_teacher_is_refused_in_one_line(options, told):
    offered = {"goal": None, "store": None, "seed": 0, "name": "self"}
    with pytest.raises(ValueError, match=told) as error:
        make("teacher", "self", options, **offered, offered=offered)
    assert "\n" not in str(error.value)


def test_its_own_reliability_is_not_learned():
    with pytest.raises(ValueError, match="by which the reward would believe itself most; use one"):
        small(teacher="self", feedback={"reliability": True})


def test_people_are_no_true_teacher():
    with pytest.raises(ValueError, match="its true teacher store, where people answer"):
        SelfRewardingTeacher(People(PreferenceStore()))


def small(**settings):
    return RLHFConfig.for_env(
        "CartPole-v1",
        total_timesteps=4096, query={"rounds": 3, "scheme": "uniform"}, evaluation={"n_episodes": 1}, **settings,
    )  # fmt: skip


def test_a_run_with_it_keeps_both_in_the_store_and_counts_the_true_ones_alone(tmp_path):
    options = {"teacher": "noisy", "options": {"eps_mistake": 0.05}, "confidence": 0.5, "accuracy": 0.0}
    config = small(labels=40, run_dir=str(tmp_path / "run"), teacher="self", teacher_options=options)
    with closing(RLHF(config)) as rlhf:
        summary = rlhf.learn()
        mine = rlhf.answers.own
        assert summary["labels"] == 40 == rlhf.labels and summary["asked"] == 40
        assert summary["teacher"] == "noisy and self" and 0 < len(own(rlhf.answers)) <= 40
        assert all(p.query.policy_step > 0 and p.query.reward_version > 0 for p in mine)
    with closing(PreferenceStore(tmp_path / "run" / "preferences.db")) as store:
        assert {p.teacher for p in store.preferences()} == {"noisy", "self"}
    with closing(RLHF.load(tmp_path / "run")) as loaded:
        assert loaded.labels == 40 and len(loaded.answers.own) == len(mine)
    more = small(labels=0, feedback={"preferences": str(tmp_path / "run")})
    with closing(RLHF(more)) as begun:  # another reward's opinion of itself is no answer
        assert begun.labels == 40 and {p.teacher for p in begun.preferences} == {"noisy"} and begun.answers.own == []


def test_a_run_in_which_it_may_not_answer_is_the_run_without_it():
    figures = []
    for settings in ({"teacher": "self", "teacher_options": {"share": 0.0}}, {"teacher": "oracle"}):
        with closing(RLHF(small(labels=30, **settings))) as rlhf:
            figures.append([done.reward_loss for done in rlhf.rounds()])
    assert figures[0] == figures[1]
