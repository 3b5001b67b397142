"""What a rating, a switch-off, a demonstration and a correction tell the likelihood, by hand; and mixes of kinds."""

from dataclasses import replace

import numpy as np
import pytest

from rlhf_gym import RLHF
from rlhf_gym.config import RLHFConfig
from rlhf_gym.contracts import example_queries
from rlhf_gym.kinds import Told, choices, find_kind
from rlhf_gym.preferences import HELDOUT, Answer, Choice, Level, Preference, Query, Shown, Stop
from rlhf_gym.registry import kind_shares
from rlhf_gym.reward_report import assess, judge_run
from rlhf_gym.segments import Ending, Segment, Trajectory
from rlhf_gym.teachers import OracleTeacher, Teacher


def rated(*levels, teacher="a", of=5, seed=0):
    queries = [replace(query, repeats=None) for query in example_queries(len(levels), kind="rating", seed=seed)]
    return [Preference(query, Level(level, of), teacher) for query, level in zip(queries, levels, strict=True)]


def places(preferences):
    """Choices as numbers of the preferences whose segments they are between, with targets and weights."""
    number = {id(p.query.options[0]): i for i, p in enumerate(preferences)}
    return [([number[id(s)] for s in c.options], c.target, c.weight) for c in choices(preferences)]


def test_a_rating_is_held_against_earlier_ones_of_another_level_and_weighs_two_comparisons_in_all():
    assert places(rated(3, 5, 3, 1)) == [
        ([1, 0], (1, 0), 2),
        ([2, 1], (0, 1), 2),
        ([3, 0], (0, 1), 2 / 3),
        ([3, 1], (0, 1), 2 / 3),
        ([3, 2], (0, 1), 2 / 3),
    ]


def test_a_rating_is_held_against_those_of_its_block_of_nine_alone():
    told = places(rated(*[1] * 8, 5, *[1] * 3, 5))
    assert [between for between, *_ in told] == [[8, i] for i in range(8)] + [[12, i] for i in (9, 10, 11)]
    assert sum(weight for *_, weight in told) == pytest.approx(4)


def test_what_a_rating_tells_is_in_choices_of_its_block_alone_which_are_one_group():
    levels = np.random.default_rng(0).integers(1, 6, size=40).tolist()
    ratings = rated(*levels)
    again = [replace(p, query=replace(p.query, id=f"{p.query.id}-again", repeats=p.query.id)) for p in ratings[:5]]
    told = choices([*ratings, *again])
    groups = {id(segment): {c.group for c in told if segment in c.options} for c in told for segment in c.options}
    assert {len(of_segment) for of_segment in groups.values()} == {1}
    assert {c.group for c in told} == {ratings[first].query.id for first in range(0, 40, 9)}


def test_a_rating_is_not_held_against_what_was_said_of_the_same_segment_before():
    first, other = rated(1, 3)
    again = replace(first, query=replace(first.query, id="again", repeats=first.query.id), answer=Level(5, 5))
    assert choices([first, again]) == []
    assert [c.options for c in choices([first, other, again])[1:]] == [(first.query.options[0], other.query.options[0])]


def test_two_people_have_two_scales():
    assert choices([*rated(1, teacher="a"), *rated(5, teacher="b", seed=1)]) == []


def test_a_skipped_or_held_out_rating_is_held_against_nothing():
    low, high = rated(1, 5)
    skipped = replace(low, answer=Answer.SKIP)
    heldout = replace(low, query=replace(low.query, why=HELDOUT))
    assert choices([skipped, high]) == choices([heldout, high]) == []
    assert len(choices([low, high])) == 1


def test_whether_a_later_answer_hangs_on_one_is_known():
    told, (low, _) = Told(), rated(1, 5)
    comparison = Preference(example_queries(1)[0], Answer.LEFT)
    for preference in (low, comparison):
        told.add(preference)
    assert told.hangs_on(low)
    assert not told.hangs_on(comparison)


def segment(rewards, length=None):
    n = len(rewards)
    steps = np.arange(n + 1, dtype=np.float32)[:, None]
    trajectory = Trajectory(steps, np.zeros(n, np.int64), np.array(rewards, float), Ending.TRUNCATED)
    return trajectory.cut(0, length or n)


def asked(kind, *options: Segment):
    return Query(options, id="q", kind=kind)


def test_what_is_switched_off_is_a_choice_among_its_beginnings():
    query = asked("switch_off", segment([1.0] * 8 + [-1.0] * 8))
    [answer] = OracleTeacher().answer([query])
    assert answer == Stop(4, 8)
    [choice] = choices([Preference(query, answer)])
    assert [option.lived for option in choice.options] == [2, 4, 6, 8, 10, 12, 14, 16]
    assert choice.target == (0, 0, 0, 1, 0, 0, 0, 0)
    assert choice.options[-1] is query.options[0]
    np.testing.assert_array_equal(choice.options[0].observations, query.options[0].observations[:3])
    assert not choice.options[0].terminated


def test_a_short_segment_has_fewer_beginnings_and_one_of_a_single_step_tells_nothing():
    short = asked("switch_off", segment([1.0, 1.0, -5.0], length=16))
    [choice] = choices([Preference(short, OracleTeacher().answer([short])[0])])
    assert [(option.lived, share) for option, share in zip(choice.options, choice.target, strict=True)] == [
        (1, 0),
        (2, 1),
        (3, 0),
    ]
    single = asked("switch_off", segment([1.0], length=16))
    assert choices([Preference(single, Stop(8, 8))]) == []


def test_where_nothing_gets_worse_nothing_is_switched_off():
    query = asked("switch_off", segment([0.0] * 16))
    assert OracleTeacher().answer([query]) == [Stop(8, 8)]


def test_a_demonstration_is_chosen_out_of_itself_and_what_the_policy_does():
    *policy, better = [segment([float(i)] * 4) for i in range(4)]
    query = asked("demonstration", *policy)
    [choice] = choices([Preference(query, Shown(better))])
    assert (choice.options, choice.target, choice.group) == ((better, *policy), (1, 0, 0, 0), "q")


def test_a_correction_is_chosen_before_what_it_corrects_and_starts_where_that_does():
    original, better = segment([0.0] * 4), segment([1.0] * 4)
    query = asked("correction", original)
    [choice] = choices([Preference(query, Shown(better))])
    assert (choice.options, choice.target) == ((better, original), (1, 0))
    elsewhere = replace(better, observations=better.observations + 1)
    with pytest.raises(ValueError, match="correction of query 'q' starts in another state"):
        choices([Preference(query, Shown(elsewhere))])


def test_what_is_shown_has_the_shapes_and_the_length_of_what_the_policy_does():
    query = asked("correction", segment([0.0] * 4))
    longer = segment([0.0] * 4, length=9)
    with pytest.raises(ValueError, match="nominal length of 9 steps; expected 4"):
        choices([Preference(query, Shown(longer))])
    wider = replace(longer, observations=np.zeros((5, 2)), length=4)
    with pytest.raises(ValueError, match=r"observations of shape \(2,\); expected \(1,\)"):
        choices([Preference(query, Shown(wider))])


def test_the_oracle_rates_by_the_place_among_what_it_has_seen():
    worth = [0.0, 4.0, 2.0, 8.0, -1.0, 3.0]
    queries = [replace(asked("rating", segment([value] * 4)), id=str(value)) for value in worth]
    levels = [answer.level for answer in OracleTeacher().answer(queries)]
    # Alone: the middle. Then 1.5 of 2, 1.5 of 3, 3.5 of 4, 0.5 of 5, 3.5 of 6 are below, the segment itself by half.
    assert levels == [3, 4, 3, 5, 1, 3]


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("rating", "6/5", "'6/5' is no level of 5; use 1/5, the worst, to 5/5, the best"),
        ("rating", "3/7", "'3/7' is no level of 5; use 1/5, the worst"),
        ("rating-3", "0/3", "is no level of 3; use 1/3, the worst, to 3/3"),
        ("switch_off", "9/8", "'9/8' is no time to switch off"),
        ("correction", "left", "'left' is no segment"),
        ("demonstration", '{"length": 4}', "is no segment: it lacks 'observations'"),
    ],
)
def test_what_is_no_answer_of_a_kind_is_refused_in_one_line(kind, text, told):
    with pytest.raises(ValueError, match=told) as refused:
        find_kind(kind).parse(text, 1)
    assert "\n" not in str(refused.value)


def test_kinds_have_shares():
    assert kind_shares("ranking") == {"ranking": 1.0}
    assert kind_shares("comparison=0.7, ranking=0.3") == {"comparison": 0.7, "ranking": 0.3}


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ("comparison=0.7,ranking=0.2", "whose shares make 0.9; make them 1 together"),
        ("comparison=0.5,comparison=0.5", "which has comparison twice"),
        ("comparison=1,ranking", "which has 'ranking'; give each a share"),
        ("comparison=-1,ranking=2", "which has 'comparison=-1'"),
        ("comparison=0.5,rankin=0.5", "kind is 'rankin'; did you mean ranking"),
    ],
)
def test_shares_that_make_no_sense_are_refused(kinds, told):
    with pytest.raises(ValueError, match=told):
        RLHFConfig(kind=kinds)


def small(**settings):
    query = {"rounds": 4, "warm_up_steps": 400, **settings.pop("query", {})}
    agent = {"n_envs": 2, "options": {"n_steps": 64, "batch_size": 64}}
    return RLHFConfig.from_dict(dict(total_timesteps=1000, query=query, agent=agent, **settings))


def test_a_mix_asks_each_kind_its_share_and_learns_from_all():
    rlhf = RLHF(small(labels=20, kind="comparison=0.5,rating=0.25,switch_off=0.15,ranking=0.1", seed=2))
    *_, done = rlhf.rounds()
    kinds = [preference.query.kind for preference in rlhf.preferences]
    assert {kind: kinds.count(kind) for kind in kinds} == {"comparison": 10, "rating": 5, "switch_off": 3, "ranking": 2}
    assert done.teacher_seconds == 10 * 4 + 5 * 3 + 3 * 4 + 2 * 8
    assert {len(choice.options) for choice in rlhf.answers.choices} >= {2, 3}
    rlhf.close()


def test_held_out_queries_of_ratings_are_comparisons():
    rlhf = RLHF(small(labels=12, kind="rating", query={"heldout": 0.25}))
    *_, done = rlhf.rounds()
    heldout = [p.query for p in rlhf.preferences if p.query.why == HELDOUT]
    assert [query.kind for query in heldout] == ["comparison"] * 3
    assert 0 <= done.reward_accuracy_uniform <= 1
    rlhf.close()


def graded(preference, before=()):
    left = (preference.answer.level - 1) / 4
    return [Choice(preference.query.options, (left, 1 - left), group=preference.query.id, sided=True)]


def grade(worth):
    return Level(5 if worth[0] > worth[1] else 1, 5)


GRADED = find_kind("rating")._replace(options=range(2, 3), answer=grade, choices=graded, alone=False)
OWN_KIND = f"{__name__}:GRADED"


def test_held_out_queries_of_a_kind_of_ones_own_are_comparisons():
    rlhf = RLHF(small(labels=12, kind=OWN_KIND, query={"heldout": 0.25}))
    *_, done = rlhf.rounds()
    assert [p.query.kind for p in rlhf.preferences if p.query.why == HELDOUT] == ["comparison"] * 3
    assert 0 <= done.reward_accuracy_uniform <= 1
    rlhf.close()


@pytest.mark.parametrize("teacher", ["terminal", "web", "store"])
def test_people_are_not_asked_a_kind_of_ones_own_which_nobody_would_be_shown(teacher, tmp_path):
    with pytest.raises(ValueError, match=r":GRADED and teacher is .*, but people can be shown only the toolkit's own"):
        RLHF(small(labels=6, kind=OWN_KIND, teacher=teacher, run_dir=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


class Rater(Teacher):
    name, kinds = "rater", ("rating",)

    def answer(self, queries):
        return [Level(1 + i % 5, 5) for i, _ in enumerate(queries)]


@pytest.mark.parametrize("planned", ["heldout", "checks"])
def test_planned_queries_that_a_teacher_cant_answer_are_refused(planned):
    told = f"query.{planned} is 0.2, whose queries are comparisons here, and teacher rater can't answer a comparison; "
    with pytest.raises(ValueError, match=told):
        RLHF(small(labels=12, kind="rating", query={planned: 0.2}), teacher=Rater())
    RLHF(small(labels=12, kind="rating"), teacher=Rater()).close()


class Indifferent(Teacher):
    name = "indifferent"

    def answer(self, queries):
        return [Level(3, 5) for _ in queries]


def test_a_run_whose_answers_imply_no_choice_says_that_nothing_was_fitted(tmp_path, capsys):
    rlhf = RLHF(small(labels=6, kind="rating", run_dir=str(tmp_path / "run")), teacher=Indifferent())
    found = rlhf.learn()
    assert (found["labels"], rlhf.method.version) == (6, 0)
    rlhf.close()
    told = "6 answers imply no choice (all on one level, for example): the reward was never fitted\n"
    assert capsys.readouterr().err == told
    report = assess(judge_run(tmp_path / "run", n_episodes=1))
    assert f"its {told.strip().replace('the reward', 'this reward model')}" in report.notes
    assert any("got 0; ask for labels that imply choices" in line for line in report.lines())


def test_a_run_that_is_fitted_in_the_end_says_nothing(capsys):
    rlhf = RLHF(small(labels=6, kind="rating"))
    list(rlhf.rounds())
    assert rlhf.method.version > 0 and capsys.readouterr().err == ""
    rlhf.close()


def test_an_answer_taken_back_takes_back_what_others_told_by_it():
    rlhf = RLHF(small(labels=6, kind="rating"))
    rlhf.collect()
    queries = rlhf.ask(3)
    rlhf.tell(queries, [Level(1, 5), Level(3, 5), Level(5, 5)])
    assert len(rlhf.answers.choices) == 3
    rlhf.store.record(queries[0].id, None, teacher="oracle")
    assert [[s is q.options[0] for s in c.options] for c in rlhf.answers.choices for q in queries[1:]] == [
        [False, True],
        [True, False],
    ]
    rlhf.close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"kind": "demonstration"},
            "teacher oracle has nothing to show for a demonstration; set feedback.demonstrator",
        ),
        (
            {"kind": "correction", "teacher": "store", "env_id": "Pendulum-v1", "run_dir": "pendulum"},
            "by keys, which takes 2 to 4 actions .*, and Pendulum-v1 has Box",
        ),
        ({"kind": "correction", "teacher": "terminal"}, "terminal, who can't play a correction; use teacher web"),
        ({"kind": "rating", "query": {"options": 2}}, "query.options is 2 and kind is rating; use 1"),
        ({"kind": "rating", "feedback": {"levels": ["bad", "good"]}}, "has 2 words .* have 5; .* or kind rating-2"),
    ],
)
def test_settings_that_do_not_fit_the_kind_are_refused(settings, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=told):
        RLHF(small(labels=6, **settings))


@pytest.mark.parametrize(
    ("made", "shown", "said"),
    [
        (5.0, (1.0, 2.0, 3.0), "shown"),
        (3.0, (1.0, 2.0, 3.0), "shown"),
        (2.5, (1.0, 2.0, 3.0), "skip"),
        (3.0, (3.0, 3.0, 3.0), "skip"),
        (5.0, (4.0,), "shown"),
        (4.0, (4.0,), "skip"),
    ],
)
def test_a_teacher_shows_only_what_it_thinks_better(made, shown, said):
    better = segment([made] * 4)
    query = asked("demonstration" if len(shown) > 1 else "correction", *(segment([worth] * 4) for worth in shown))
    [answer] = OracleTeacher(shows=lambda query: better).answer([query])
    assert answer == (Shown(better) if said == "shown" else Answer.SKIP)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("comparison", "2 words and kind is comparison, which has no levels; leave it out, or use kind rating-2"),
        ("rating-3", "2 words and kind is rating-3, whose ratings have 3; use as many words, or kind rating-2"),
    ],
)
def test_words_for_levels_that_there_are_not_are_refused(kind, told):
    with pytest.raises(ValueError, match=f"feedback.levels has {told}"):
        RLHF(RLHFConfig.for_env("CartPole-v1", labels=4, kind=kind, feedback={"levels": ("bad", "good")}))
