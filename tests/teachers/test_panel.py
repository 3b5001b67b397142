"""Panels: who is asked, under which name, and that each member keeps flaws of their own."""

from collections import Counter
from contextlib import closing
from itertools import count

import numpy as np
import pytest

from rlhf_gym.answers import Answers
from rlhf_gym.asking import Asking
from rlhf_gym.cli import parse
from rlhf_gym.config import RLHFConfig
from rlhf_gym.contracts import SEVERAL_RULES, check_teacher, example_queries
from rlhf_gym.preferences import Answer
from rlhf_gym.quality import assess
from rlhf_gym.registry import make
from rlhf_gym.rlhf import RLHF
from rlhf_gym.store import PreferenceStore
from rlhf_gym.teachers import NoisyTeacher, Open, OracleTeacher, Panel, People, RandomTeacher, Reply, Several, Teacher

FLAWED = [{"teacher": "oracle"}, {"eps_mistake": 0.3, "name": "careless"}, {"left": 0.5, "name": "bored"}]


def panel(members, **options):
    """A panel as settings make it."""
    return make("teacher", "panel", {"members": members, **options}, seed=5, goal=None, store=None, offered={})


def ask(answers, wanted, *, budget, seed=0):
    """Have as many labels given, of new queries."""
    batches = count(seed)
    for n, people in Asking(answers, budget=budget).missing(wanted, last=True, step=0):
        answers.post(example_queries(n, seed=next(batches)), people=people)


def said(answers):
    """What each said, by name and query."""
    return {(p.teacher, p.query.id): p.answer for p in answers.preferences}


class Skipper(Teacher):
    name = "skipper"

    def answer(self, queries):
        return [Answer.SKIP for _ in queries]


@pytest.mark.parametrize(
    "options", [{}, {"order": "in_turn"}, {"each": 2}, {"each": 2, "order": "in_turn"}, {"each": 3}]
)
def test_a_panel_keeps_the_contract_of_teachers_and_of_several(options):
    check_teacher(lambda: panel([*FLAWED, {"eps_skip": 0.5, "beta": 2, "name": "tired"}], **options))


class Forgetful(Several):
    """Several teachers who don't look at who has answered."""

    name, each = "forgetful", 2

    def replies(self, waiting):
        return [Reply(one.query, f"number {i}", Answer.LEFT) for one in waiting for i in range(one.wanted)]


class Alone(Several):
    """Two who are one."""

    name, each = "alone", 2

    def replies(self, waiting):
        return [Reply(one.query, "ann", Answer.LEFT) for one in waiting for _ in range(one.wanted)]


class Moody(Several):
    """Two who look at how many are asked at once."""

    name, each = "moody", 1

    def replies(self, waiting):
        left = [one for one in waiting if "ann" not in one.by]
        return [Reply(one.query, "ann", Answer.LEFT if len(waiting) > 1 else Answer.RIGHT) for one in left]


class Ranker(Several):
    """Two, of whom the second answers a side as if it were a ranking."""

    name, each = "ranker", 2

    def replies(self, waiting):
        names = {"ann": Answer.LEFT, "bob": "nothing"}
        return [
            Reply(one.query, who, names[who])
            for one in waiting
            for who in [name for name in names if name not in one.by][: one.wanted]
        ]


@pytest.mark.parametrize(
    ("teachers", "told"),
    [
        (Forgetful, "number 0 has answered query '0-0', and is asked it again"),
        (Alone, "nobody answers a query twice"),
        (Moody, "one by one"),
        (Ranker, "bob gives a comparison an answer of its kind"),
    ],
)
def test_the_contract_catches_several_who_break_it(teachers, told):
    with pytest.raises(AssertionError, match=told):
        for rule in SEVERAL_RULES:
            rule(teachers, example_queries(8))
    with pytest.raises(AssertionError):
        check_teacher(teachers, example_queries(8))


def test_members_are_drawn_with_equal_odds():
    replies = panel(FLAWED).replies([Open(query) for query in example_queries(3000)])
    each = Counter(reply.who for reply in replies)
    # 5 standard deviations of Binomial(3000, 1/3) are 129.
    assert set(each) == {"oracle-1", "careless", "bored"} and all(abs(n - 1000) < 129 for n in each.values())


def test_members_are_asked_in_turn():
    two = panel(FLAWED, each=2, order="in_turn").replies([Open(query, 2) for query in example_queries(3)])
    assert [reply.who for reply in two] == ["oracle-1", "careless", "bored", "oracle-1", "careless", "bored"]
    one = panel(FLAWED, order="in_turn")
    by_now = [one.replies([Open(query)])[0].who for query in example_queries(4)]
    assert by_now == ["oracle-1", "careless", "bored", "oracle-1"]


def test_each_flaw_shows_under_the_name_of_the_member_who_has_it():
    members = [*FLAWED, {"teacher": "random", "name": "coin"}]
    with closing(Answers(PreferenceStore(), panel(members))) as answers:
        ask(answers, 6000, budget=6000)
        given = answers.preferences
    right = {p.query.id: OracleTeacher().answer([p.query])[0] for p in given}
    wrong, lefts, of = Counter(), Counter(), Counter(p.teacher for p in given)
    for p in given:
        wrong[p.teacher] += p.answer is not right[p.query.id]
        lefts[p.teacher] += p.answer is Answer.LEFT
    assert sum(of.values()) == 6000 and wrong["oracle-1"] == 0
    # How often each is wrong: by mistake 0.3, without a look where right would be better, and half of the time.
    for who, rate in {"careless": 0.3, "bored": 0.25, "coin": 0.5}.items():
        assert abs(wrong[who] - rate * of[who]) < 5 * np.sqrt(of[who] * rate * (1 - rate)), who
    # Without a look it is the left one: 0.5 + 0.5 * 0.5; the others have no side.
    for who, rate in {"oracle-1": 0.5, "careless": 0.5, "bored": 0.75, "coin": 0.5}.items():
        assert abs(lefts[who] - rate * of[who]) < 5 * np.sqrt(of[who] * rate * (1 - rate)), who


def test_members_with_the_same_flaw_err_by_chance_of_their_own():
    twins = panel([{"eps_mistake": 0.3}, {"eps_mistake": 0.3}], each=2)
    queries = example_queries(4000)
    replies = twins.replies([Open(query, 2) for query in queries])
    right = dict(zip([query.id for query in queries], OracleTeacher().answer(queries), strict=True))
    wrong = Counter(reply.query.id for reply in replies if reply.answer is not right[reply.query.id])
    both = sum(n == 2 for n in wrong.values())
    # Both at 0.3 * 0.3: 5 standard deviations of Binomial(4000, 0.09) are 90. Of one seed they would at 0.3.
    assert abs(both - 360) < 90 and {reply.who for reply in replies} == {"noisy-1", "noisy-2"}


def test_every_answer_is_a_label_of_the_budget():
    with closing(Answers(PreferenceStore(), panel(FLAWED, each=2))) as answers:
        ask(answers, 3, budget=7)
        assert answers.labels == 4  # two queries, as with people: a few more than wanted
        ask(answers, 7, budget=7, seed=10)
        assert answers.labels == 7
        people = Counter(query for _, query in said(answers))
        assert sorted(people.values()) == [1, 2, 2, 2] and answers.open == []
        assert answers.store.counts()[:2] == (4, 7)


def test_a_skip_is_asked_again_but_not_for_ever():
    with closing(Answers(PreferenceStore(), Panel({"s": Skipper(), "o": OracleTeacher()}, seed=0))) as some:
        ask(some, 20, budget=20)
        skips = sum(answer is Answer.SKIP for answer in said(some).values())
        assert skips > 0 and some.labels == 20 and {who for who, _ in said(some)} == {"s", "o"}
    with closing(Answers(PreferenceStore(), Panel({"s": Skipper()}, seed=0))) as none:
        with pytest.raises(ValueError, match="teacher panel skipped all 50 queries; expected an answer"):
            ask(none, 5, budget=5)
        assert none.labels == 0
    pair = Panel({"s": Skipper(), "o": OracleTeacher()}, each=2, seed=0)
    with closing(Answers(PreferenceStore(), pair)) as half:
        ask(half, 10, budget=10)  # one of the two always skips: each time half of what is missing comes
        assert 5 <= half.labels <= 10 and half.open == []


@pytest.mark.parametrize("seed", range(5))
def test_a_panel_made_anew_gives_no_query_twice_to_the_same_member(tmp_path, seed):
    first = Panel({name: OracleTeacher() for name in "abc"}, each=2, seed=seed)
    with closing(Answers(PreferenceStore(tmp_path / "a.db"), first)) as answers:
        queries = example_queries(20)
        answers.post(queries, people=2)
        replies = first.replies([Open(query, 2) for query in queries])
        for query, who, answer in replies[::2]:  # killed when one of two had been written
            answers.tell([query], [answer], teacher=who)
    again = Panel({name: OracleTeacher() for name in "abc"}, each=2, seed=seed + 100)
    with closing(Answers(PreferenceStore(tmp_path / "a.db"), again)) as answers:
        assert len(answers.open) == 20
        ask(answers, 40, budget=40, seed=50)
        assert answers.labels == 40 == len(said(answers)) and len(answers.store.history()) == 40
        assert set(Counter(query for _, query in said(answers)).values()) == {2}


def test_what_is_offered_reaches_the_members(tmp_path):
    def goal(observations, actions, next_observations):
        return -next_observations[:, 0]

    with closing(PreferenceStore(tmp_path / "preferences.db")) as store:
        offered = {"goal": goal, "store": store, "waiting": None, "name": "panel"}
        rules = "environment: CartPole-v1\nprinciples:\n  - name: {}\n    quantity: {}\n"
        for name, formula in (("upright", "-abs(pole_angle)"), ("right", "cart_position")):
            (tmp_path / f"{name}.yaml").write_text(rules.format(name, formula))
        members = [
            {"teacher": "oracle"},
            {"teacher": "rules", "file": str(tmp_path / "upright.yaml"), "name": "ann b"},
            {"teacher": "rules", "file": str(tmp_path / "right.yaml"), "name": "bob"},
        ]
        made = make("teacher", "panel", {"members": members}, **offered, offered=offered, seed=0)
    assert made.members["oracle-1"].goal is goal
    copies = {path.name: path.read_text().split()[-1] for path in tmp_path.glob("*-rules.yaml")}
    assert copies == {"ann_20_b-rules.yaml": "-abs(pole_angle)", "bob-rules.yaml": "cart_position"}


def test_a_panel_gives_the_kinds_that_all_members_can():
    class Comparing(Skipper):
        kinds = ("comparison", "ranking")

    class Rating(Skipper):
        kinds = ("rating", "comparison")

    assert Panel({"a": OracleTeacher()}, seed=0).kinds is None
    assert Panel({"a": Comparing(), "b": OracleTeacher(), "c": Rating()}, seed=0).kinds == ["comparison"]
    Rating.kinds = ("rating",)
    with pytest.raises(ValueError, match="no kind of feedback in common that they can give: a comparison, ranking; c"):
        Panel({"a": Comparing(), "c": Rating()}, seed=0)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"members": []}, r"teacher_options.members is \[\]; give a list, such as"),
        ({"members": "oracle"}, "teacher_options.members is 'oracle'; give a list, such as"),
        ({"members": ["oracle"]}, "has 'oracle' in place 1; give a mapping of its options"),
        ({"members": [{"teacher": 3}]}, "has teacher 3 in place 1; name one"),
        ({"members": [{"name": ""}]}, "has name '' in place 1; use a word"),
        ({"members": [{"name": "a"}, {"name": "a"}]}, "has 'a' twice; give each a name of its own"),
        ({"members": [{}, {"name": "noisy-1"}]}, "has 'noisy-1' twice"),
        (
            {"members": [{}, {"eps_mistak": 0.3, "name": "careless"}]},
            "members, careless: teacher noisy has no option eps_mistak; did you mean eps_mistake",
        ),
        ({"members": [{"eps_mistake": 3}]}, "members, noisy-1: teacher_options.eps_mistake is 3; use a number"),
        ({"members": [{"teacher": "orakle"}]}, "members, orakle-1: teacher is 'orakle'; did you mean oracle?"),
        ({"members": [{"teacher": "web"}]}, "members, web-1: teacher is web, where people answer; a panel is of"),
        (
            {"members": [{"teacher": "rlhf_gym.teachers.people:People", "name": "ann"}]},
            "members, ann: teacher is .*, where people answer",
        ),
        ({"members": [{"teacher": "self", "name": "s"}]}, "members, s: oracle and self is several teachers; make each"),
        (
            {"members": [{"teacher": "panel"}]},
            "members, panel-1: teacher panel needs members; set teacher_options.members",
        ),
        ({"members": FLAWED, "each": 4}, "teacher_options.each is 4; use 1 to 3, the number of members"),
        ({"members": FLAWED, "each": True}, "teacher_options.each is True; use a whole number"),
        ({"members": FLAWED, "order": "random"}, "teacher_options.order is 'random'; use one of drawn, in_turn"),
        ({}, "teacher panel needs members"),
        ({"members": FLAWED, "eech": 2}, "teacher panel has no option eech; did you mean each?"),
    ],
)
def test_what_makes_no_panel_is_refused_in_one_line(options, told):
    store = PreferenceStore()
    offered = {"goal": None, "store": store, "waiting": lambda: None, "seed": 0, "name": "panel"}
    with pytest.raises(ValueError, match=told) as error:
        make("teacher", "panel", options, **offered, offered=offered)
    assert "\n" not in str(error.value)


def test_people_are_no_members():
    with pytest.raises(ValueError, match="members, ann: teacher is store, where people answer"):
        Panel({"ann": People(PreferenceStore())}, seed=0)


def test_members_come_from_the_command_line():
    words = ["--teacher", "panel", "--teacher-options.each", "2", "--teacher-options.members"]
    config = parse(["train", *words, '[{"teacher": "oracle"}, {"eps_mistake": 0.3, "name": "careless"}]']).settings
    assert config.teacher_options == {
        "each": 2,
        "members": [{"teacher": "oracle"}, {"eps_mistake": 0.3, "name": "careless"}],
    }


def test_a_run_is_taught_by_a_panel_and_its_quality_names_each_member(tmp_path):
    config = RLHFConfig.for_env(
        "CartPole-v1", labels=60, total_timesteps=2048, run_dir=str(tmp_path / "run"), teacher="panel",
        teacher_options={"members": [{"teacher": "oracle"}, {"gamma": 0.9}, {"teacher": "random", "name": "coin"}],
                         "each": 3},
        query={"rounds": 2, "scheme": "uniform", "schedule": "constant"}, reward={"steps": 2},
        evaluation={"n_episodes": 1},
    )  # fmt: skip
    with closing(RLHF(config)) as rlhf:
        rlhf.learn()
        assert rlhf.labels == 60
    assert (tmp_path / "run" / "config.yaml").exists()
    with closing(PreferenceStore(tmp_path / "run" / "preferences.db")) as store:
        report = assess(store.history(), [p.query for p in store.preferences()], reliability=True)
    assert {person.who: person.answers for person in report.people} == {"oracle-1": 20, "noisy-2": 20, "coin": 20}
    better = {person.who: person.better for person in report.reliability}
    assert report.shared == 20 and min(better["oracle-1"], better["noisy-2"]) > better["coin"]


def test_a_panel_of_ones_own_is_handed_over():
    mine = Panel({"a": NoisyTeacher(seed=0), "b": RandomTeacher(seed=1)}, each=2, seed=2)
    config = RLHFConfig.for_env("CartPole-v1", labels=4, total_timesteps=2048, query={"rounds": 1}, reward={"steps": 1})
    with closing(RLHF(config, teacher=mine)) as rlhf:
        next(rlhf.rounds())
        assert Counter(p.teacher for p in rlhf.preferences) == {"a": 2, "b": 2}
        assert rlhf.config.teacher == "given:panel"
